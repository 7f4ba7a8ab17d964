-- How long a terminal execution is kept; the twin of model/schedule/retention.ts.

-- The end of the retention slot that a time falls into.
local function slot_end(kept_until)
  return math.min(math.ceil(kept_until / LIMIT.retention_slot_ms) * LIMIT.retention_slot_ms, LIMIT.max_integer)
end

local last_slot, last_slot_text

-- Executions that end within a minute mostly have the same slot.
local function slot_text(purge_at)
  if purge_at ~= last_slot then last_slot, last_slot_text = purge_at, ff.digits(purge_at) end
  return last_slot_text
end

-- The first slot in hand, the only one in most calls: its table is kept for the next call. `others` are by their times;
-- `is_plain` tells whether the executions that end with it have no special retention.
local first = { at = false, text = '', key = '', size = 0, is_plain = false, others = false }

-- Checks the key to which an ending writes. A key that this library wrote last is not checked again.
local function check_slot(call, purge_at, text)
  local slot = first
  if not call.ended then
    call.ended, first.others, first.is_plain = true, false, false
  elseif first.at == purge_at then
    return
  else
    local others = first.others or {}
    if others[purge_at] then return end
    slot = {}
    others[purge_at], first.others = slot, others
  end
  slot.at, slot.text, slot.key, slot.size = purge_at, text, call.base .. KEY.slot .. text, 0
  if call.slot_at == purge_at then return end
  command('LLEN', slot.key)
  command('ZCARD', call.base .. KEY.retention)
end

-- When an execution that ends now is purged, as a number and as a text; nil and the empty text when it is kept for
-- good. Needs rules, bounds and streams loaded.
function ff.check_ending(call, execution)
  ff.timers_of(call)
  local extras = execution.extras
  if (extras == '' or extras == FIELD.membership) and call.ended and first.is_plain then return first.at, first.text end
  if execution.situation == SITUATION.suspended then execution.suspension = ff.check_suspension(execution) end
  if execution.bounds ~= '' then
    ff.read_bounds(execution)
    if execution.pending_expires_at ~= '' then execution.kept = ff.kept_of(execution) end
  end
  if execution.streams ~= '' then ff.check_stream(call, execution) end
  local retention_ms = execution.rules ~= '' and ff.rules(execution.rules).retention_ms or call.settings.retention_ms
  if retention_ms == LIMIT.keep_for_good then return nil, '' end
  local kept_until = call.now + math.max(retention_ms, LIMIT.min_retention_ms)
  if execution.bounds ~= '' then
    kept_until = math.max(kept_until, ff.count(execution.idempotency_expires_at))
  end
  local purge_at = slot_end(kept_until)
  local text = slot_text(purge_at)
  check_slot(call, purge_at, text)
  if execution.rules == '' and execution.bounds == '' and first.at == purge_at then first.is_plain = true end
  return purge_at, text
end

-- The purge time of something that ends now and is not purged before `kept_until`.
function ff.purge_time(call, retention_ms, kept_until)
  return ff.digits(slot_end(math.max(call.now + math.max(retention_ms, LIMIT.min_retention_ms), kept_until)))
end

local function settle_slot(call, slot)
  local length = guarded('RPUSH', slot.key, unpack(slot, 1, slot.size))
  if type(length) == 'table' then
    -- A foreign key stands in the place of the slot, whose ids are lost.
    command('DEL', slot.key)
    length = command('RPUSH', slot.key, unpack(slot, 1, slot.size))
  end
  if length == slot.size then guarded('ZADD', call.base .. KEY.retention, slot.text, slot.text) end
  slot.size, call.slot_at = 0, slot.at
end

-- Files a terminal execution in the slot of its purge time, when the call settles.
function ff.retain(call, id, purge_at)
  local slot = first.at == purge_at and first or first.others[purge_at]
  local size = slot.size + 1
  slot.size, slot[size] = size, id
  if size >= LIMIT.max_unsettled then settle_slot(call, slot) end
end

function ff.settle_endings(call)
  if first.size > 0 then settle_slot(call, first) end
  if not first.others then return end
  for _, slot in pairs(first.others) do
    if slot.size > 0 then settle_slot(call, slot) end
  end
end

-- Checks the slot from which a purge removes an execution.
function ff.check_slot(call, execution)
  -- It may have ended in this same call: then it is not in the list yet.
  if call.ended then ff.settle_endings(call) end
  execution.slot_length = command('LLEN', call.base .. KEY.slot .. execution.due_at)
  command('ZCARD', call.base .. KEY.retention)
end

-- Removes an execution from the list of its slot, if the list is short. Needs `ff.check_slot`.
function ff.leave_short_slot(call, execution)
  if execution.slot_length > LIMIT.short_slot then return end
  local key = call.base .. KEY.slot .. execution.due_at
  command('LREM', key, 0, execution.id)
  call.slot_at = false
  if command('EXISTS', key) == 0 then command('ZREM', call.base .. KEY.retention, execution.due_at) end
end
