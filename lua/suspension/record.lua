-- Reading what an execution waits for: a hash beside its record (lua/layout.ts), which exists once it waited. Only what a
-- command needs is read, all of it before anything is written.

local function waits_key(execution)
  return execution.key .. SUFFIX.waits
end

-- Fields of the hash, false where there is none.
function ff.fields_of_waits(key, ...)
  local values = server.pcall('HMGET', key, ...)
  if values.err then ff.damaged('what it waits for is unreadable') end
  return values
end

-- Whether an execution ever waited.
function ff.has_waited(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.pause, 1, true) ~= nil
end

-- The waitpoint of an id, with its facts read; nil when there is none.
function ff.waitpoint_of(execution, waitpoint_id)
  local text = ff.fields_of_waits(waits_key(execution), WAITS.waitpoint .. waitpoint_id)[1]
  if not text then return nil end
  local waitpoint = { id = waitpoint_id, waitpoint = text }
  ff.read_waits_waitpoint(waitpoint)
  return waitpoint
end

-- The last suspension, with its facts read; nil when there is none.
function ff.suspension_of(execution)
  if not ff.has_waited(execution) then return nil end
  local key = waits_key(execution)
  local values = ff.fields_of_waits(key, WAITS.suspension, WAITS.waitpoints, WAITS.condition, WAITS.progress, WAITS.satisfiers,
    WAITS.signal_count, WAITS.closing, WAITS.payload_bytes)
  local suspension = {
    key = key, suspension = values[1] or ff.damaged('the suspension is missing'),
    waitpoint_ids = values[2] or ff.damaged('the waitpoints of the suspension are missing'),
    condition = values[3] or ff.damaged('the condition is missing'), progress = values[4] or '', satisfiers = values[5] or '',
    signal_count = ff.count(values[6] or ''), is_closed = values[7] and true or false,
    payload_bytes = ff.count(values[8] or ''),
  }
  ff.read_waits_suspension(suspension)
  return suspension
end

-- The waitpoints of a suspension, read so that they can be closed.
local function load_waitpoints(suspension)
  local names = {}
  for id in string.gmatch(suspension.waitpoint_ids, '[^,]+') do names[#names + 1] = WAITS.waitpoint .. id end
  local texts = ff.fields_of_waits(suspension.key, unpack(names))
  local waitpoints = {}
  for i = 1, #names do
    local waitpoint = { field = names[i], waitpoint = texts[i] or ff.damaged('a waitpoint is missing') }
    ff.read_waits_waitpoint(waitpoint)
    waitpoints[i] = waitpoint
  end
  return waitpoints
end

-- The open suspension of a suspended execution, with all that is written when it closes.
function ff.check_suspension(execution)
  local suspension = ff.suspension_of(execution) or ff.damaged('the suspension is missing')
  suspension.waitpoints = load_waitpoints(suspension)
  return suspension
end
