-- read_waiting: execution_id
-- Answers core pairs, detail pairs, and pairs of the hash of waits; empty lists when they do not exist.
function ff.query.read_waiting(call, execution_id)
  local key = call.base .. execution_id
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details), command('HGETALL', key .. SUFFIX.waits) }
end

-- Adds a field of the waits to an answer, if it exists.
local function also(answer, field, value)
  if not value then return end
  answer[#answer + 1] = field
  answer[#answer + 1] = value
end

-- Adds fields of the hash to an answer.
local function add_fields(answer, key, names)
  if #names == 0 then return end
  local values = ff.fields_of_waits(key, unpack(names))
  for i = 1, #names do also(answer, names[i], values[i]) end
end

-- The indexes of the first and last id on the page after a cursor.
local function page_of(ids, cursor, limit)
  local first = 1
  if cursor ~= '' then
    first = #ids + 1
    for i = 1, #ids do
      if ids[i] == cursor then first = i + 1 end
    end
  end
  return first, math.min(#ids, first + tonumber(limit) - 1)
end

-- Adds payloads of signals on a page to an answer, as long as their bytes fit. Payloads are stored by signal id.
local function add_payloads(answer, key, ids, first, last, size_of)
  local names, bytes = {}, 0
  for i = first, last do
    local size = size_of(ids[i])
    bytes = bytes + size
    if i > first and bytes > LIMIT.max_signal_page_bytes then break end
    if size > 0 then names[#names + 1] = ids[i] end
  end
  if #names == 0 then return end
  local values = guarded('HMGET', key .. SUFFIX.payloads, unpack(names))
  if values.err then ff.damaged('what signals brought is unreadable') end
  for i = 1, #names do also(answer, names[i], values[i]) end
end

local function size_in(text)
  if not text then return 0 end
  local signal = { signal = text }
  ff.read_waits_signal(signal)
  return ff.count(signal.payload_bytes), ff.count(signal.place)
end

local function ids_in(text)
  local ids = {}
  for id in string.gmatch(text or '', '[^,]+') do ids[#ids + 1] = id end
  return ids
end

-- observe_signals: execution_id, cursor, limit
-- Answers pairs of the last suspension and of a page of the signals that satisfied it, and pairs of their payloads.
function ff.query.observe_signals(call, execution_id, cursor, limit)
  local key = call.base .. execution_id
  local waits, pairs_of_waits, payloads = key .. SUFFIX.waits, {}, {}
  local names = { WAITS.suspension, WAITS.closing, WAITS.condition, WAITS.waitpoints, WAITS.satisfiers }
  local values = ff.fields_of_waits(waits, unpack(names))
  for i = 1, #names do also(pairs_of_waits, names[i], values[i]) end
  local ids, wanted = ids_in(values[5] or ''), {}
  local first, last = page_of(ids, cursor, limit)
  for i = first, last do wanted[#wanted + 1] = WAITS.signal .. ids[i] end
  add_fields(pairs_of_waits, waits, wanted)
  local sizes = {}
  for i = 1, #pairs_of_waits, 2 do sizes[pairs_of_waits[i]] = pairs_of_waits[i + 1] end
  add_payloads(payloads, key, ids, first, last, function(id) return (size_in(sizes[WAITS.signal .. id])) end)
  local waitpoints = ids_in(values[4])
  for i = 1, #waitpoints do waitpoints[i] = WAITS.waitpoint .. waitpoints[i] end
  add_fields(pairs_of_waits, waits, waitpoints)
  return { pairs_of_waits, payloads }
end

-- list_signals: execution_id, cursor, limit
-- Answers pairs of the waitpoints, of a page of signals, of the signals before and after it; and pairs of their
-- payloads.
function ff.query.list_signals(call, execution_id, cursor, limit)
  local key = call.base .. execution_id
  local all = guarded('HGETALL', key .. SUFFIX.waits)
  if all.err then ff.damaged('what it waits for is unreadable') end
  local found, texts, answer, payloads = {}, {}, {}, {}
  for i = 1, #all, 2 do
    local name = all[i]
    if string.sub(name, 1, #WAITS.signal) == WAITS.signal then
      local id = string.sub(name, #WAITS.signal + 1)
      local size, place = size_in(all[i + 1])
      found[#found + 1] = { id = id, score = place, size = size }
      texts[id] = all[i + 1]
    elseif string.sub(name, 1, #WAITS.waitpoint) == WAITS.waitpoint then
      also(answer, name, all[i + 1])
    end
  end
  table.sort(found, ff.by_position)
  local ids, sizes = {}, {}
  for i = 1, #found do
    ids[i] = found[i].id
    sizes[ids[i]] = found[i].size
  end
  local first, last = page_of(ids, cursor, limit)
  for i = math.max(1, first - 1), math.min(#ids, last + 1) do also(answer, WAITS.signal .. ids[i], texts[ids[i]]) end
  add_payloads(payloads, key, ids, first, last, function(id) return sizes[id] end)
  return { answer, payloads }
end

-- list_waitpoints: execution_id
-- Answers whether the execution exists, pairs of its open waitpoints and of its suspension, the current key, and pairs
-- of waitpoint and digest.
function ff.query.list_waitpoints(call, execution_id)
  local key = call.base .. execution_id
  if command('EXISTS', key) == 0 then return { 0 } end
  local waits, answer, digests = key .. SUFFIX.waits, {}, {}
  local names = { WAITS.suspension, WAITS.closing, WAITS.condition, WAITS.waitpoints, WAITS.pending }
  local values = ff.fields_of_waits(waits, unpack(names))
  for i = 1, #names do also(answer, names[i], values[i]) end
  local ids, wanted = ids_in(values[5]), {}
  if not values[2] then
    for id in string.gmatch(values[4] or '', '[^,]+') do ids[#ids + 1] = id end
  end
  for i = 1, #ids do wanted[i] = WAITS.waitpoint .. ids[i] end
  add_fields(answer, waits, wanted)
  local _, current = ff.known_kids(call)
  for i = 1, current and #ids or 0 do
    local waitpoint = ff.waitpoint_of({ key = key }, ids[i])
    if waitpoint then also(digests, ids[i], ff.digest(call, current, ff.token_message(waitpoint))) end
  end
  return { 1, answer, current or '', digests }
end
