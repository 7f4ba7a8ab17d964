-- What earlier attempts left for the next one: see model/schedule/earlier.ts.

local function all_of(key, what)
  local pairs_of_it = guarded('HGETALL', key)
  if pairs_of_it.err then ff.damaged(what) end
  return pairs_of_it
end

-- Pairs of the hash of steps. A step has two fields, its facts and its value; the totals are one more.
local function steps_of(key, count)
  local steps = all_of(key, 'the steps are unreadable')
  if #steps ~= 4 * count + 2 then ff.damaged('a step is missing') end
  return steps
end

-- Pairs of steps, of waits, and of payloads of signals; '' when that is too much for a claim. Absent parts are empty
-- lists. All sizes are read first. `room` is what is left of that of the claim; nil where one execution is claimed alone.
function ff.earlier_of(execution, room)
  local key, left = execution.key, { {}, {}, {} }
  local count, bytes = ff.totals_of_steps(execution, key .. SUFFIX.steps)
  local signals, payload_bytes, waitpoints = ff.counts_of_waits(execution)
  if math.max(count, signals, waitpoints) > LIMIT.max_carried then return '' end
  bytes = bytes + payload_bytes
  if bytes > LIMIT.max_carried_bytes then return '' end
  if room then
    local parts = count + signals + waitpoints
    if parts > room.earlier_parts or bytes > room.earlier_bytes then return '' end
    room.earlier_parts, room.earlier_bytes = room.earlier_parts - parts, room.earlier_bytes - bytes
  end
  if count > 0 then left[1] = steps_of(key .. SUFFIX.steps, count) end
  if ff.has_waits(execution) then left[2] = all_of(key .. SUFFIX.waits, 'what it waits for is unreadable') end
  if payload_bytes > 0 then left[3] = all_of(key .. SUFFIX.payloads, 'what signals brought is unreadable') end
  return left
end
