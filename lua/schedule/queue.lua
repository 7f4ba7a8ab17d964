-- Where claimable work waits; the twin of model/schedule/queue.ts. Needs laneId, requiredCapabilities, createdAt and
-- priority loaded.

function ff.queue_key(call, lane, requirements)
  return call.base .. K.queue .. lane .. ':' .. requirements
end

-- Puts work into its queue, when the call settles.
local function enqueue(call, execution, score)
  local lane, requirements = execution.laneId, execution.requiredCapabilities or ''
  local entering = call.entering
  if entering and (entering.lane ~= lane or entering.requirements ~= requirements) then
    ff.settle_entering(call)
    entering = nil
  end
  if not entering then
    call.entering = { score, execution.uuid, lane = lane, requirements = requirements }
  else
    local size = #entering
    entering[size + 1], entering[size + 2] = score, execution.uuid
    if size >= L.maxUnsettled then ff.settle_entering(call) end
  end
end

-- Puts waiting work into its queue. When the queue was empty, whoever looked before found nothing there: the lane is
-- to be woken at the end of the call.
function ff.settle_entering(call)
  local entering = call.entering
  call.entering = nil
  local lane, requirements = entering.lane, entering.requirements
  local key = ff.queue_key(call, lane, requirements)
  local added = store('ZADD', key, unpack(entering))
  if store('ZCARD', key) > added then return end
  store('SADD', call.base .. K.lanes, lane)
  if requirements ~= '' then store('SADD', call.base .. K.requirementSets .. lane, requirements) end
  call.wakes = call.wakes or {}
  call.wakes[key] = entering
end

-- Wakes the lanes whose queues were empty and have work now, and says what a worker needs to do it.
function ff.publish_wakes(call)
  local prefix, partition = ff.prefix(call), ff.partition(call)
  for _, queue in pairs(call.wakes) do
    local needs = queue.requirements ~= '' and ' ' .. queue.requirements or ''
    -- A hint: a user without rights on channels is served all the same.
    server.pcall('PUBLISH', prefix .. C.work .. queue.lane, partition .. needs)
  end
end

-- Makes an execution claimable by priority, then age.
function ff.enqueue_ready(call, execution)
  enqueue(call, execution, execution.createdAt - ff.count(execution.priority) * L.priorityStep)
end

-- Makes lapsed work claimable before everything else.
function ff.enqueue_reclaimable(call, execution)
  enqueue(call, execution, L.reclaimBand + call.now)
end

-- Takes an execution out of its queue.
function ff.dequeue(call, execution)
  ff.dequeue_all(call, execution.laneId, execution.requiredCapabilities or '', { execution.uuid })
end

-- Takes executions out of one queue. An empty one is listed no more, and nobody is woken for it.
function ff.dequeue_all(call, lane, requirements, uuids)
  local key = ff.queue_key(call, lane, requirements)
  store('ZREM', key, unpack(uuids))
  local wakes = call.wakes and call.wakes[key]
  if requirements == '' and not wakes or store('EXISTS', key) == 1 then return end
  if wakes then call.wakes[key] = nil end
  if requirements ~= '' then store('SREM', call.base .. K.requirementSets .. lane, requirements) end
end

-- Takes executions that have an owner now out of their queues, and writes their timers: of the queue without
-- requirements when the call settles.
function ff.own(call, lane, executions, requirements)
  local taken = call.taken or { lane = lane, uuids = {}, timers = {} }
  local uuids, timers = taken.uuids, taken.timers
  local count = #uuids
  for i = 1, #executions do
    local execution = executions[i]
    local _, at = ff.next_timer(execution)
    local place = count + i
    uuids[place] = execution.uuid
    timers[place * 2 - 1], timers[place * 2] = at, execution.uuid
  end
  if not requirements then
    call.taken = taken
    if #timers >= L.maxUnsettled then ff.settle_taken(call) end
    return
  end
  for i = 1, #executions do ff.dequeue(call, executions[i]) end
  store('ZADD', call.base .. K.timers, unpack(timers))
end

-- How many at the head of the lane's queue without requirements have an owner already.
function ff.taken_of(call, lane)
  local taken = call.taken
  if not taken then return 0 end
  if taken.lane == lane then return #taken.uuids end
  ff.settle_taken(call)
  return 0
end

function ff.settle_taken(call)
  local taken = call.taken
  call.taken = nil
  ff.dequeue_all(call, taken.lane, '', taken.uuids)
  store('ZADD', call.base .. K.timers, unpack(taken.timers))
end

-- Whether the situation is one of those that stand in a queue.
function ff.is_claimable(situation)
  return situation == 'ready' or ff.is_reclaimable(situation)
end

function ff.is_reclaimable(situation)
  return situation == 'lease_expired' or situation == 'lease_revoked'
end
