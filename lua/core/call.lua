-- The call in hand: where its keys are, what time it is, and the header of its partition.
-- Absent facts and absent arguments are empty texts, everywhere.

-- A whole number as text. Concatenation alone would round beyond 14 digits.
function ff.digits(number)
  return string.format('%.0f', number)
end

-- The generation, the position and the time of the newest entry of the log. A log that is there without a header, or a
-- header without its log, begins a new generation: readers are told that what they knew is lost.
local function read_position(call)
  local text = command('HGET', call.header_key, HEADER.position)
  local length = command('XLEN', call.log_key)
  if text and length > 0 then
    local generation, sequence, time = string.match(text, '^(%w*)\t(%d+)\t(%d+)$')
    if not sequence then ff.damaged('the header of the partition is damaged') end
    return generation, tonumber(sequence), tonumber(time)
  end
  if length == 0 then return '', 0, 0 end
  local newest = command('XREVRANGE', call.log_key, '+', '-', 'COUNT', 1)[1][1]
  local sequence, time = string.match(newest, '^(%d+)-(%d+)$')
  return '', tonumber(sequence), tonumber(time)
end

-- Time in a partition does not go back, unless the last entry is so far ahead that the clock must have jumped (ruling 14).
local function transition_time(clock, last)
  if last > clock + LIMIT.max_clock_lead_ms or clock >= last then return clock end
  return last
end

-- KEYS[1] is the log of the partition and names it. ARGV: [now, in a test build], log_max_entries, retention_ms, `1` when
-- inputs that have keys of their own stay there, and what the function says besides.
-- Answers the call, and the place of the first of its own arguments.
function ff.open_call(keys, argv)
  if not command then ff.bind() end
  local log_key = keys[1]
  local base = string.sub(log_key, 1, -1 - #KEY.log)
  local clock, at = ff.read_clock(argv)
  local call = {
    -- "<prefix>{fp:<n>}:", the start of every key of the partition.
    base = base,
    log_key = log_key,
    header_key = base .. KEY.header,
    log_max_entries = argv[at],
    retention_ms = tonumber(argv[at + 1]),
    leaves_inputs = argv[at + 2] == '1',
    -- Sorted sets that the call has in hand, by key, and in order.
    indexes = {},
    opened = {},
    -- What waits to be written when the call settles.
    appended = false,
    ended = {},
    leaf = false,
    -- What ends now and says nothing else is purged then: a number and a text, once asked for.
    purge_at = false,
    purge_text = false,
    generation = false,
    sequence = 0,
    time = 0,
    now = 0,
    now_text = '',
  }
  call.generation, call.sequence, call.time = read_position(call)
  call.now = transition_time(clock, call.time)
  call.now_text = ff.digits(call.now)
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
