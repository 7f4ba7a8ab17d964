-- Reading the waits of an execution: a hash beside its record (lua/layout.ts), which exists from the first wait on. A
-- command reads only what it needs, all of it before anything is written.

local function waits_key(execution)
  return execution.key .. SUFFIX.waits
end

-- Fields of the hash, false for missing ones.
function ff.fields_of_waits(key, ...)
  local values = guarded('HMGET', key, ...)
  if values.err then ff.damaged('what it waits for is unreadable') end
  return values
end

-- The number of signals that were kept for later waits. Needs kept loaded.
function ff.kept_count(execution)
  if execution.kept == '' then return 0 end
  ff.read_kept(execution)
  return ff.count(execution.kept_signal_count)
end

-- Whether an execution has a hash of waits.
function ff.has_waits(execution)
  return ff.has_waited(execution) or execution.extras ~= '' and string.find(execution.extras, FIELD.kept, 1, true) ~= nil
end

-- Whether an execution was ever suspended or had a waitpoint.
function ff.has_waited(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.pause, 1, true) ~= nil
end

local function waitpoint_in(id, text)
  local waitpoint = { id = id, field = WAITS.waitpoint .. id, waitpoint = text }
  ff.read_waits_waitpoint(waitpoint)
  return waitpoint
end

-- The waitpoint of an id, with its facts read; nil when there is none.
function ff.waitpoint_of(execution, waitpoint_id)
  local text = ff.fields_of_waits(waits_key(execution), WAITS.waitpoint .. waitpoint_id)[1]
  return text and waitpoint_in(waitpoint_id, text) or nil
end

-- The text of a waitpoint.
function ff.waitpoint_text(it)
  local text = ff.waits_waitpoint_text(it.waitpoint_key, it.waitpoint_state, it.created_at, it.closed_at, it.close_reason,
    it.signal_count, it.matched_signal_count, it.last_signal_at, it.expires_at, it.activated_at, it.keeps_signals)
  return (string.gsub(text, '\t+$', ''))
end

-- Number of signals, their bytes, and number of waitpoints of an execution.
function ff.counts_of_waits(execution)
  if not ff.has_waits(execution) then return 0, 0, 0 end
  local values = ff.fields_of_waits(waits_key(execution), WAITS.signal_count, WAITS.payload_bytes, WAITS.waitpoint_count)
  return ff.count(values[1] or ''), ff.count(values[2] or ''), ff.count(values[3] or '')
end

-- The counts of an execution's waits: signals, their bytes, waitpoints; and the unused waitpoints, with their facts,
-- oldest first.
function ff.kept_of(execution)
  local kept = { key = waits_key(execution), signal_count = 0, payload_bytes = 0, count = 0, pending = {} }
  if not ff.has_waits(execution) then return kept end
  local values = ff.fields_of_waits(kept.key, WAITS.signal_count, WAITS.payload_bytes, WAITS.waitpoint_count, WAITS.pending)
  kept.signal_count, kept.payload_bytes = ff.count(values[1] or ''), ff.count(values[2] or '')
  kept.count = ff.count(values[3] or '')
  local ids, names = {}, {}
  for id in string.gmatch(values[4] or '', '[^,]+') do
    ids[#ids + 1], names[#names + 1] = id, WAITS.waitpoint .. id
  end
  if #ids == 0 then return kept end
  local texts = ff.fields_of_waits(kept.key, unpack(names))
  for i = 1, #ids do kept.pending[i] = waitpoint_in(ids[i], texts[i] or ff.damaged('a waitpoint is missing')) end
  return kept
end

-- Removes a waitpoint from the unused ones. Answers what is written of the others: their ids, and their earliest
-- expiry.
function ff.leave_pending(kept, waitpoint)
  local left, ids, next_at = {}, {}, nil
  for i = 1, #kept.pending do
    local it = kept.pending[i]
    if it.id ~= waitpoint.id then
      left[#left + 1], ids[#ids + 1] = it, it.id
      local at = ff.time(it.expires_at)
      if at and (not next_at or at < next_at) then next_at = at end
    end
  end
  kept.pending = left
  return table.concat(ids, ','), ff.text_of(next_at)
end

-- The fields of a suspension, and the other given fields.
local function fields_of_suspension(key, ...)
  return ff.fields_of_waits(key, WAITS.suspension, WAITS.waitpoints, WAITS.condition, WAITS.progress, WAITS.satisfiers,
    WAITS.signal_count, WAITS.closing, WAITS.payload_bytes, ...)
end

-- The last suspension, with its facts read, and another field of the hash, if given; nil without a suspension.
function ff.suspension_of(execution, field)
  if not ff.has_waited(execution) then return nil end
  local key = waits_key(execution)
  local values = field and fields_of_suspension(key, field) or fields_of_suspension(key)
  -- It can have created waitpoints without being suspended.
  if not (values[1] or values[2] or values[3]) then return nil end
  local suspension = {
    key = key, suspension = values[1] or ff.damaged('the suspension is missing'),
    waitpoint_ids = values[2] or ff.damaged('the waitpoints of the suspension are missing'),
    condition = values[3] or ff.damaged('the condition is missing'), progress = values[4] or '', satisfiers = values[5] or '',
    signal_count = ff.count(values[6] or ''), closing = values[7] or '', is_closed = values[7] and true or false,
    payload_bytes = ff.count(values[8] or ''), other = values[9],
  }
  ff.read_waits_suspension(suspension)
  return suspension
end

-- The waitpoints of a suspension, read so that they can be closed; `known` is one that was read before.
function ff.waitpoints_of(suspension, known)
  if known and known.id == suspension.waitpoint_ids then return { known } end
  local ids, names = {}, {}
  for id in string.gmatch(suspension.waitpoint_ids, '[^,]+') do
    ids[#ids + 1], names[#names + 1] = id, WAITS.waitpoint .. id
  end
  local texts, waitpoints = ff.fields_of_waits(suspension.key, unpack(names)), {}
  for i = 1, #ids do waitpoints[i] = waitpoint_in(ids[i], texts[i] or ff.damaged('a waitpoint is missing')) end
  return waitpoints
end

-- The open suspension of a suspended execution, with all that is written when it closes; see `ff.suspension_of` and
-- `ff.waitpoints_of`.
function ff.check_suspension(execution, known, field)
  local suspension = ff.suspension_of(execution, field) or ff.damaged('the suspension is missing')
  suspension.waitpoints = ff.waitpoints_of(suspension, known)
  return suspension
end
