-- What earlier attempts left for the next one: see model/schedule/earlier.ts.

-- Adds the facts of each step, and the values under its key. Needs the number of steps.
local function add_steps(left, key, count)
  local places, names = {}, {}
  for place = 1, count do places[place] = ff.digits(place - 1) end
  local steps = command('HMGET', key, unpack(places))
  for i = 1, count do
    local step = { step = steps[i] or ff.damaged('a step is missing') }
    ff.read_steps_step(step)
    names[i] = STEP.key .. step.step_name .. ':' .. ff.count(step.step_index)
  end
  local values = command('HMGET', key, unpack(names))
  for i = 1, count do
    if not values[i] then ff.damaged('the value of a step is missing') end
  end
  left[1], left[2] = steps, values
end

local function all_of(key, what)
  local pairs_of_it = guarded('HGETALL', key)
  if pairs_of_it.err then ff.damaged(what) end
  return pairs_of_it
end

-- Steps and their values, pairs of waits, pairs of payloads of signals; '' when that is too much for a claim. Absent
-- parts are empty lists. All sizes are read first.
function ff.earlier_of(execution)
  local left = { {}, {}, {}, {} }
  local steps = execution.key .. SUFFIX.steps
  local count, bytes = ff.totals_of_steps(execution, steps)
  local kept = ff.kept_of(execution)
  if math.max(count, kept.signal_count, kept.count) > LIMIT.max_carried then return '' end
  if bytes + kept.payload_bytes > LIMIT.max_carried_bytes then return '' end
  if count > 0 then add_steps(left, steps, count) end
  if ff.has_waits(execution) then left[3] = all_of(kept.key, 'what it waits for is unreadable') end
  if kept.payload_bytes > 0 then left[4] = all_of(execution.key .. SUFFIX.payloads, 'what signals brought is unreadable') end
  return left
end
