-- The call in hand: where its keys are, what time it is, and the header of its partition.
-- Absent facts and absent arguments are empty texts, everywhere.

local last_number, last_text

-- A whole number as text. Concatenation alone would round beyond 14 digits. The same one is often asked for again.
function ff.digits(number)
  if number ~= last_number then last_number, last_text = number, string.format('%.0f', number) end
  return last_text
end

-- What was written into headers, by their logs: a header that reads as it was written need not be parsed.
local written, written_count = {}, 0

-- Notes the header of a partition.
function ff.note_header(call, text)
  local known = written[call.log_key]
  if not known then
    if written_count == LIMIT.known_headers then written, written_count = {}, 0 end
    known = {}
    written[call.log_key], written_count = known, written_count + 1
  end
  known.text, known.generation, known.sequence, known.time = text, call.generation, call.sequence, call.time
end

-- The generation, the position and the time of the newest entry of the log. A log that is there without a header, or a
-- header without its log, begins a new generation: readers are told that what they knew is lost. Behind the position
-- stand the marks of those that wait for news, if there are any.
local function read_position(call)
  local text = command('HGET', call.header_key, HEADER.position)
  local length = command('XLEN', call.log_key)
  if text and length > 0 then
    local known = written[call.log_key]
    if known and known.text == text then return known.generation, known.sequence, known.time end
    local generation, sequence, time, marks = string.match(text, '^(%w*)\t(%d+)\t(%d+)(.*)$')
    if not sequence then ff.damaged('the header of the partition is damaged') end
    if marks ~= '' then ff.read_marks(call, marks) end
    return generation, tonumber(sequence), tonumber(time)
  end
  if length == 0 then
    if text then ff.read_marks(call, string.match(text, '^\t0\t0(.*)$') or '') end
    return '', 0, 0
  end
  local newest = command('XREVRANGE', call.log_key, '+', '-', 'COUNT', 1)[1][1]
  local sequence, time = string.match(newest, '^(%d+)-(%d+)$')
  return '', tonumber(sequence), tonumber(time)
end

-- KEYS[1] is the log of the partition and names it. ARGV: [now, in a test build], log_max_entries, retention_ms, `1` when
-- inputs that have keys of their own stay there, and what the function says besides.
-- Answers the call, and the place of the first of its own arguments.
function ff.open_call(keys, argv)
  if not command then ff.bind() end
  local log_key = keys[1]
  local base = string.sub(log_key, 1, -1 - #KEY.log)
  local now, now_text, at = ff.read_clock(argv)
  local call = {
    -- "<prefix>{fp:<n>}:", the start of every key of the partition.
    base = base, log_key = log_key, header_key = base .. KEY.header,
    log_max_entries = argv[at], retention_ms = argv[at + 1], leaves_inputs = argv[at + 2] == '1',
    now = now, now_text = now_text,
    -- The newest entry of the log; whether this call has written one.
    generation = '', sequence = 0, time = 0, appended = false,
    -- Sorted sets that the call has in hand, by key. Whether what is written to them waits for more of its kind.
    indexes = {}, gathers = false,
    -- The leaf of the index of ids, and the retention slots, that the call has in hand.
    leaf = false, ended = false,
  }
  local generation, sequence, time = read_position(call)
  call.generation, call.sequence, call.time = generation, sequence, time
  -- Time in a partition does not go back, unless the last entry is so far ahead that the clock must have jumped (ruling 14).
  if time > now and time <= now + LIMIT.max_clock_lead_ms then call.now, call.now_text = time, ff.digits(time) end
  return call, at + 3
end

-- The wire form of the partition, "{fp:<n>}".
function ff.partition(call)
  return string.match(call.base, '({[^{}]*}):$')
end

-- The prefix of the deployment: what stands before the partition's tag.
function ff.prefix(call)
  return string.match(call.base, '^(.-){[^{}]*}:$')
end

-- Whether a time has come. Texts of one length compare as their numbers do, and cost less.
function ff.has_come(call, time)
  local now = call.now_text
  if #time == #now then return time <= now end
  local at = tonumber(time) or ff.damaged('a time is missing')
  return at <= call.now
end

-- Raises again what is no fault of one record: an index that is not what it should be concerns all of them.
function ff.contain(why)
  if type(why) == 'table' and string.sub(why.err, 1, 8) ~= 'DAMAGED ' then error(why) end
end

-- Raises what makes a record unreadable: it is set aside, or its command fails alone. Nothing was written yet.
function ff.damaged(what)
  error({ err = 'DAMAGED ' .. what })
end
