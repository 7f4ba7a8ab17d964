-- Files an execution in the index of ids, its lane, its queue, the timers, its slot and its shelves; and removes it
-- from those where it does not belong. For records that were mended, and for indexes that were lost.

-- Checks the keys that will be written. Needs naming, needs, timing and bounds loaded.
function ff.check_reindex(call, execution)
  ff.check_ids(call, execution.id)
  command('ZCARD', call.base .. KEY.lanes)
  ff.check_queue_of(call, execution)
  -- Members of a flow are in no slot: they are purged with the flow.
  local is_kept_by_itself = not ff.is_member(execution)
  if not is_kept_by_itself then command('ZCARD', call.base .. KEY.members .. (ff.flow_of(execution) or '')) end
  if is_kept_by_itself and ff.is_terminal(execution.situation) and execution.due_at ~= '' then ff.check_slot(call, execution) end
end

local function mend_id(call, execution, mended)
  local leaf = call.base .. KEY.leaf .. (command('ZREVRANGEBYLEX', call.base .. KEY.ids, '[' .. execution.id, '-', 'LIMIT', 0, 1)[1] or '-')
  if command('LPOS', leaf, execution.id) then return end
  ff.enter_id(call, execution.id)
  mended[#mended + 1] = KEY.ids
end

local function mend_queue(call, execution, mended)
  local queue = execution.queue
  local before = command('ZSCORE', queue.key, execution.id)
  local wanted = ff.is_queued(execution) and ff.digits(ff.queue_score(execution))
  if before == wanted then return end
  mended[#mended + 1] = KEY.queue .. queue.lane_id
  if wanted then ff.enqueue(execution) else ff.dequeue(call, execution) end
end

local function mend_timer(call, execution, mended)
  ff.read_timing(execution)
  ff.read_bounds(execution)
  local _, at = ff.next_timer(execution)
  local before = command('ZSCORE', call.timers_key, TIMER.execution .. execution.id)
  if before == (at and ff.digits(at) or false) then return end
  mended[#mended + 1] = KEY.timers
  ff.set_timer(call, execution)
end

-- A long list is not searched: a superfluous entry does not count.
local function mend_slot(call, execution, mended)
  if not execution.slot_length then return end
  local key = call.base .. KEY.slot .. execution.due_at
  if execution.slot_length > LIMIT.short_slot or command('LPOS', key, execution.id) then return end
  command('RPUSH', key, execution.id)
  command('ZADD', call.base .. KEY.retention, execution.due_at, execution.due_at)
  mended[#mended + 1] = KEY.retention
end

local function mend_shelf(call, shelf, id, stands, mended)
  if stands == ff.is_on_shelf(call, shelf, id) then return end
  mended[#mended + 1] = KEY.shelf .. shelf
  if stands then ff.shelve(call, shelf, id) else ff.unshelve(call, shelf, id) end
end

local function mend_suspended(call, execution, mended)
  local score = guarded('ZSCORE', call.base .. KEY.suspended, execution.id)
  local before = type(score) == 'string' and tonumber(score) or nil
  local is_suspended = execution.situation == SITUATION.suspended
  if before == (is_suspended and tonumber(ff.place_of_suspended(execution.due_at)) or nil) then return end
  mended[#mended + 1] = KEY.suspended
  local now = is_suspended and SITUATION.suspended or nil
  ff.reorder_suspended(call, execution.id, SITUATION.suspended, now, execution.due_at)
end

-- Needs `ff.check_reindex`. Answers the names of the indexes that were mended.
function ff.reindex(call, execution)
  local mended, id = {}, execution.id
  local _, lane_id = ff.split_naming(execution.naming)
  if ff.enter_lane(call, lane_id) then mended[#mended + 1] = KEY.lanes end
  mend_id(call, execution, mended)
  mend_queue(call, execution, mended)
  mend_timer(call, execution, mended)
  mend_slot(call, execution, mended)
  if SHELVED[execution.situation] then mend_shelf(call, execution.situation, id, true, mended) end
  mend_shelf(call, LIMIT.held, id, ff.is_held(execution), mended)
  mend_suspended(call, execution, mended)
  if ff.is_member(execution) then mended[#mended + 1] = ff.mend_membership(call, execution) end
  if execution.own ~= '' and ff.mend_key(call, execution) then mended[#mended + 1] = 'idempotency keys' end
  for shelf in pairs(ff.indexed_tags(call, execution.tags).shelves) do mend_shelf(call, shelf, id, true, mended) end
  call.mended = true
  return mended
end
