-- Queues of claimable work; the twin of model/schedule/queue.ts. A queue is named by its needs and its kind, inside its
-- lane; the meter set of metered work follows a tab in its needs, and so is between the two. The set `queues:<lane>`
-- has the names of unmetered queues with work; `metered:<lane>` has the others, by meter set first.

-- The meter set at the end of needs; nothing for unmetered work.
function ff.meters_of(needs)
  if needs == '' then return nil end
  return string.match(needs, '\t(.*)$')
end

-- The capabilities at the start of needs.
function ff.capabilities_of(needs)
  return string.match(needs, '^[^\t]*')
end

-- The name of a metered queue in the list of its lane, and the needs and the kind in such a name.
function ff.metered_place(needs, execution_kind)
  local capabilities, meters = string.match(needs, '^(.*)\t(.*)$')
  return meters .. '\t' .. capabilities .. '\t' .. execution_kind
end

function ff.parts_of_place(place)
  local meters, capabilities, kind = string.match(place, '^([^\t]*)\t([^\t]*)\t(.*)$')
  if not meters then return nil end
  return capabilities .. '\t' .. meters, kind
end

-- The names of the metered queues of a lane with work.
function ff.metered_names(call, lane_id)
  local places, names = command('ZRANGE', call.base .. KEY.metered .. lane_id, 0, -1), {}
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    if needs then names[#names + 1] = needs .. '\t' .. kind end
  end
  return names
end

-- A queue of a lane, in hand.
function ff.queue_of(call, lane_id, needs, execution_kind)
  local name = needs .. '\t' .. execution_kind
  local queue = ff.index(call, call.base .. KEY.queue .. lane_id .. '\t' .. name)
  queue.lane_id, queue.name, queue.needs = lane_id, name, needs
  return queue
end

-- Checks a queue to which work will be added, and the set of the lane's queues when the queue has to be entered there.
-- Answers whether the lane is new.
function ff.check_queue(call, queue)
  ff.seen_index(call, queue.key)
  if queue.first_score then return false end
  if ff.meters_of(queue.needs) then
    command('ZCARD', call.base .. KEY.metered .. queue.lane_id)
  else
    command('SCARD', call.base .. KEY.queues .. queue.lane_id)
  end
  return ff.is_new_lane(call, queue.lane_id)
end

-- The queue of an execution, checked. Needs naming and needs loaded.
function ff.check_queue_of(call, execution)
  ff.timers_of(call)
  local _, lane_id, execution_kind = ff.split_naming(execution.naming)
  execution.queue = ff.queue_of(call, lane_id, execution.needs, execution_kind)
  ff.check_queue(call, execution.queue)
end

-- The score of an execution in its queue, and its priority: lapsed work by the time of its lapse, before everything
-- else; other work by priority, then age. Needs given loaded, or priority and created_at.
function ff.queue_score(execution)
  if not execution.created_at then ff.read_given(execution) end
  local priority = tonumber(execution.priority) or 0
  if ff.is_reclaimable(execution.situation) then return LIMIT.reclaim_band + execution.last_transition_at, priority end
  return execution.created_at - priority * LIMIT.priority_step, priority
end

-- Below the scores of waiting work of a priority; the twin of `lastScoreOf`.
function ff.last_score_of(call, priority)
  return call.now - (priority - 0.5) * LIMIT.priority_step
end

-- Adds an execution to its queue, if it belongs there. Needs given loaded, or priority and created_at.
function ff.enqueue(execution)
  if not ff.is_queued(execution) then return end
  local score, priority = ff.queue_score(execution)
  ff.add_noted(execution.queue, ff.digits(score), score, execution.id, priority)
end

-- Removes an execution from its queue.
function ff.dequeue(_, execution)
  ff.remove(execution.queue, execution.id)
end

local function place_of(queue)
  return ff.metered_place(queue.needs, string.match(queue.name, '[^\t]*$'))
end

-- Enters a queue in the list of its lane.
local function open_queue(call, queue)
  if ff.meters_of(queue.needs) then
    command('ZADD', call.base .. KEY.metered .. queue.lane_id, '0', place_of(queue))
  else
    command('SADD', call.base .. KEY.queues .. queue.lane_id, queue.name)
  end
end

-- A claim of a few kinds does not read the names of queues, so their key can be of another type here. The error is
-- ignored, because there is no name to remove.
local function close_queue(call, queue)
  if ff.meters_of(queue.needs) then
    guarded('ZREM', call.base .. KEY.metered .. queue.lane_id, place_of(queue))
  else
    guarded('SREM', call.base .. KEY.queues .. queue.lane_id, queue.name)
  end
end

-- The stored priority of an execution; for hints.
function ff.priority_of(call, id)
  local given = guarded('HGET', call.base .. id, FIELD.given)
  local priority = type(given) == 'string' and string.match(given, '^%d+')
  return priority or '0'
end

-- Wakes workers that can run the first work of a queue.
function ff.announce_work(call, lane_id, name, priority)
  ff.publish(call, CHANNEL.work .. lane_id, call.partition .. '\t' .. priority .. '\t' .. name)
end

-- After everything is written: enters queues that have got work, removes empty ones, and wakes the workers that can run
-- work that became the first.
local function settle_queue(call, queue)
  if queue.has_left and not queue.stays and command('EXISTS', queue.key) == 0 then return close_queue(call, queue) end
  if not queue.new_score then return end
  -- Metered queues are found by their list only, so new work enters them there even if they had work.
  if not queue.first_score or ff.meters_of(queue.needs) then open_queue(call, queue) end
  local priority, id = ff.new_first(queue)
  if priority == nil or ff.is_silent(call, queue.lane_id) then return end
  ff.announce_work(call, queue.lane_id, queue.name, priority or ff.priority_of(call, id))
end

function ff.settle_queues(call)
  for _, queue in pairs(call.indexes) do
    if queue.lane_id and (queue.has_left or queue.new_score) then settle_queue(call, queue) end
  end
end

-- Sends a hint. A failure is ignored, because the data is written: a user without rights on channels is served all the
-- same.
function ff.publish(call, channel, message)
  attempted('PUBLISH', call.prefix .. channel, message)
end
