-- read_steps: execution_id, from, limit, `1` with their values; its meaning is given to it by model/step/reads.ts
-- Answers how many there are, what is said of each, and their values.
function ff.query.read_steps(call, execution_id, from, limit, with_values)
  local key = call.base .. execution_id
  local totals = command('HGET', key, FIELD.steps)
  local count = totals and tonumber(string.match(totals, '^%d+')) or 0
  local first = tonumber(from)
  local last = math.min(first + tonumber(limit), count) - 1
  if last < first then return { count, {}, {} } end
  local places = {}
  for place = first, last do places[#places + 1] = ff.digits(place) end
  key = key .. SUFFIX.steps
  local steps = command('HMGET', key, unpack(places))
  if with_values ~= '1' then return { count, steps, {} } end
  -- The first steps whose values go into one page: one at least.
  local bytes, names = 0, {}
  for i = 1, #places do
    bytes = bytes + (tonumber(steps[i] and string.match(steps[i], '^[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t(%d+)')) or 0)
    if i > 1 and bytes > LIMIT.max_step_bytes_per_read then break end
    names[i] = STEP.value .. places[i]
  end
  for i = #names + 1, #places do steps[i] = nil end
  return { count, steps, command('HMGET', key, unpack(names)) }
end
