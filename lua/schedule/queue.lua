-- Where claimable work waits; the twin of model/schedule/queue.ts. A queue is named by its needs and its kind, inside its
-- lane; what metered work is metered by stands behind a tab in its needs, and so between the two. The set `queues:<lane>`
-- has the names of unmetered queues that have work; `metered:<lane>` has the others, by meter set first.

-- The meter set that needs end with; nothing of unmetered work.
function ff.meters_of(needs)
  if needs == '' then return nil end
  return string.match(needs, '\t(.*)$')
end

-- The capabilities that needs begin with.
function ff.capabilities_of(needs)
  return string.match(needs, '^[^\t]*')
end

-- The place of a metered queue among those of its lane, and the needs and the kind that a place says.
function ff.metered_place(needs, execution_kind)
  local capabilities, meters = string.match(needs, '^(.*)\t(.*)$')
  return meters .. '\t' .. capabilities .. '\t' .. execution_kind
end

function ff.parts_of_place(place)
  local meters, capabilities, kind = string.match(place, '^([^\t]*)\t([^\t]*)\t(.*)$')
  if not meters then return nil end
  return capabilities .. '\t' .. meters, kind
end

-- The names of the metered queues of a lane that have work.
function ff.metered_names(call, lane_id)
  local places, names = command('ZRANGE', call.base .. KEY.metered .. lane_id, 0, -1), {}
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    if needs then names[#names + 1] = needs .. '\t' .. kind end
  end
  return names
end

-- A queue of a lane in the hands of the call.
function ff.queue_of(call, lane_id, needs, execution_kind)
  local name = needs .. '\t' .. execution_kind
  local queue = ff.index(call, call.base .. KEY.queue .. lane_id .. '\t' .. name)
  queue.lane_id, queue.name, queue.needs = lane_id, name, needs
  return queue
end

-- Looks at a queue that work will be put into: it is what it should be, and so is the set of the lane's queues when the
-- queue has to be entered there. Answers whether the lane is a new one.
function ff.check_queue(call, queue)
  ff.seen_index(call, queue.key)
  if queue.first_score then return false end
  if ff.meters_of(queue.needs) then
    command('ZCARD', call.base .. KEY.metered .. queue.lane_id)
  else
    command('SCARD', call.base .. KEY.queues .. queue.lane_id)
  end
  return command('SISMEMBER', call.base .. KEY.lanes, queue.lane_id) == 0
end

-- The queue of an execution, checked. Needs naming and needs loaded.
function ff.check_queue_of(call, execution)
  ff.timers_of(call)
  local _, lane_id, execution_kind = ff.split_naming(execution.naming)
  execution.queue = ff.queue_of(call, lane_id, execution.needs, execution_kind)
  ff.check_queue(call, execution.queue)
end

-- The place of an execution in its queue, and its priority: lapsed work by the time of its lapse, before everything else;
-- other work by priority, then age. Needs given loaded, or priority and created_at.
function ff.queue_score(execution)
  if not execution.created_at then ff.read_given(execution) end
  local priority = tonumber(execution.priority) or 0
  if ff.is_reclaimable(execution.situation) then return LIMIT.reclaim_band + execution.last_transition_at, priority end
  return execution.created_at - priority * LIMIT.priority_step, priority
end

-- Puts an execution into its queue, if it is to stand there. Needs given loaded, or priority and created_at.
function ff.enqueue(execution)
  if not ff.is_queued(execution) then return end
  local score, priority = ff.queue_score(execution)
  ff.add_noted(execution.queue, ff.digits(score), score, execution.id, priority)
end

-- Takes an execution out of its queue.
function ff.dequeue(_, execution)
  ff.remove(execution.queue, execution.id)
end

local function place_of(queue)
  return ff.metered_place(queue.needs, string.match(queue.name, '[^\t]*$'))
end

-- Enters a queue among those of its lane that have work.
local function open_queue(call, queue)
  if ff.meters_of(queue.needs) then
    command('ZADD', call.base .. KEY.metered .. queue.lane_id, '0', place_of(queue))
  else
    command('SADD', call.base .. KEY.queues .. queue.lane_id, queue.name)
  end
end

-- A claim of a few kinds does not look at the names of queues: where these are no set, there is none to take away.
local function close_queue(call, queue)
  if ff.meters_of(queue.needs) then
    guarded('ZREM', call.base .. KEY.metered .. queue.lane_id, place_of(queue))
  else
    guarded('SREM', call.base .. KEY.queues .. queue.lane_id, queue.name)
  end
end

-- The priority of an execution, as it stands; for hints.
function ff.priority_of(call, id)
  local given = guarded('HGET', call.base .. id, FIELD.given)
  local priority = type(given) == 'string' and string.match(given, '^%d+')
  return priority or '0'
end

-- Wakes the workers that can do what stands first in a queue.
function ff.announce_work(call, lane_id, name, priority)
  ff.publish(call, CHANNEL.work .. lane_id, call.partition .. '\t' .. priority .. '\t' .. name)
end

-- Once everything is written: enters queues that have work now, takes away those that have none, and wakes the workers
-- that can do the work that came to be first.
local function settle_queue(call, queue)
  if queue.has_left and not queue.stays and command('EXISTS', queue.key) == 0 then return close_queue(call, queue) end
  if not queue.new_score then return end
  if not queue.first_score then open_queue(call, queue) end
  local priority, id = ff.new_first(queue)
  if priority == nil or ff.is_silent(call, queue.lane_id) then return end
  ff.announce_work(call, queue.lane_id, queue.name, priority or ff.priority_of(call, id))
end

function ff.settle_queues(call)
  for _, queue in pairs(call.indexes) do
    if queue.lane_id and (queue.has_left or queue.new_score) then settle_queue(call, queue) end
  end
end

-- Sends a hint. Whatever comes of it, what was written stands: a user without rights on channels is served all the same.
function ff.publish(call, channel, message)
  attempted('PUBLISH', call.prefix .. channel, message)
end
