-- The values of steps, by the texts under their keys. In place of a long value: its number of bytes, and its key.
local function values_of(key, texts)
  for i = 1, #texts do
    local name = texts[i] and string.match(texts[i], '^%d+\t(.*)$')
    local own = name and key .. SUFFIX.value .. name
    if own then texts[i] = { command('STRLEN', own), own } end
  end
  return texts
end

-- read_steps: execution_id, from, limit, `1` with their values; model/step/reads.ts interprets the answer. Answers the
-- number of steps, the facts of each, and the values on the page by their keys.
function ff.query.read_steps(call, execution_id, from, limit, with_values)
  local record = call.base .. execution_id
  -- A missing execution has no steps.
  if command('EXISTS', record) == 0 then return { 0, {}, {} } end
  local key = record .. SUFFIX.steps
  local totals = command('HGET', key, STEP.totals)
  local count = totals and tonumber(string.match(totals, '^%d+')) or 0
  local first = tonumber(from)
  local last = math.min(first + tonumber(limit), count) - 1
  if last < first then return { count, {}, {} } end
  local places = {}
  for place = first, last do places[#places + 1] = ff.digits(place) end
  local steps = command('HMGET', key, unpack(places))
  if with_values ~= '1' then return { count, steps, {} } end
  -- The first steps whose values fit into one page: at least one.
  local total, names = 0, {}
  for i = 1, #places do
    local name, index, bytes = string.match(steps[i] or '', '^([^\t]*)\t(%d*)\t[^\t]*\t[^\t]*\t(%d*)')
    total = total + (tonumber(bytes) or 0)
    if i > 1 and total > LIMIT.max_step_bytes_per_read then break end
    names[i] = STEP.key .. (name or '') .. ':' .. (index == '' and '0' or index or '')
  end
  for i = #names + 1, #places do steps[i] = nil end
  return { count, steps, values_of(record, command('HMGET', key, unpack(names))) }
end
