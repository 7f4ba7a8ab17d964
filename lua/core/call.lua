-- The call in hand: where its keys are, what time it is, and the header of its partition.
-- Absent facts and absent arguments are empty texts, everywhere.

local last_number, last_text

-- A whole number as text. Concatenation alone would round beyond 14 digits. The same one is often asked for again.
function ff.digits(number)
  if number ~= last_number then last_number, last_text = number, string.format('%.0f', number) end
  return last_text
end

-- What the deployment sets, by the text that calls carry; the same text comes again and again.
local known_settings, settings_count = {}, 0

-- What a call says of the deployment's settings: version, most entries of a log, retention, and the indexed tags.
local function settings_of(text)
  local settings = known_settings[text]
  if settings then return settings end
  local version, log_max_entries, retention_ms, tags = string.match(text, '^(%d+)\t(%d+)\t(%d+)\t([^\t]*)$')
  if not version then error({ err = 'ERR flowfabric: the settings of the call are unreadable' }) end
  local indexed_tags = {}
  for key in string.gmatch(tags, '[^,]+') do indexed_tags[key] = true end
  settings = {
    version = tonumber(version), log_max_entries = log_max_entries, retention_ms = tonumber(retention_ms),
    -- By key; nothing when there are none.
    indexed_tags = tags ~= '' and indexed_tags or nil,
  }
  if settings_count == LIMIT.known_settings then known_settings, settings_count = {}, 0 end
  known_settings[text], settings_count = settings, settings_count + 1
  return settings
end

-- What was written into headers, by their logs, and what else was known then. Every call that changes a partition writes
-- its header: one that reads as it was written need not be parsed, and what was known then still holds.
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
  known.newest_leaf, known.highest_id, known.trimmed_at = call.newest_leaf, call.highest_id, call.trimmed_at
  known.standing, known.version, known.stated = call.standing, call.version, call.stated
end

-- What is known of a partition counts no longer: something was written without its header.
function ff.forget_header(call)
  written[call.log_key] = nil
end

-- The generation, the position and the time of the newest entry of the log. A log that is there without a header, or a
-- header without its log, begins a new generation: readers are told that what they knew is lost. Behind the position
-- stand the marks of those that wait for news, if there are any.
local function read_position(call)
  local text = command('HGET', call.header_key, HEADER.position)
  local length = command('XLEN', call.log_key)
  if text and length > 0 then
    local known = written[call.log_key]
    if known and known.text == text then
      call.newest_leaf, call.highest_id, call.trimmed_at = known.newest_leaf, known.highest_id, known.trimmed_at
      call.standing, call.version, call.stated = known.standing, known.version, known.stated
      return known.generation, known.sequence, known.time
    end
    local generation, sequence, time, marks = string.match(text, '^(%w*)\t(%d+)\t(%d+)(.*)$')
    if not sequence then ff.damaged('the header of the partition is damaged') end
    if marks ~= '' then ff.read_marks(call, marks) end
    return generation, tonumber(sequence), tonumber(time)
  end
  if length == 0 then
    local marks = text and string.match(text, '^\t0\t0(.*)$')
    if marks then ff.read_marks(call, marks) elseif text then ff.count_stated(call) end
    return '', 0, 0
  end
  local newest = command('XREVRANGE', call.log_key, '+', '-', 'COUNT', 1)[1][1]
  local sequence, time = string.match(newest, '^(%d+)-(%d+)$')
  ff.count_stated(call)
  return '', tonumber(sequence), tonumber(time)
end

-- The call in hand. Calls run one after another, and a table that is made anew for each costs more than its commands: one
-- does for all, and `begin` sets everything that it has (a test holds all files to that).
local in_hand = {}

local function begin(call, log_key, argv, at)
  local base = string.sub(log_key, 1, -1 - #KEY.log)
  -- "<prefix>{fp:<n>}:", the start of every key of the partition.
  call.base, call.log_key, call.header_key = base, log_key, base .. KEY.header
  call.settings, call.leaves_inputs = settings_of(argv[at]), argv[at + 1] == '1'
  -- The newest version of the settings that the partition has seen, how many lanes are paused or draining, and what stands
  -- of both in the header.
  call.version, call.stated, call.standing = 1, 0, ''
  -- The newest entry of the log; whether this call has written one; when the log was trimmed last.
  call.generation, call.sequence, call.time, call.appended, call.trimmed_at = '', 0, 0, false, false
  -- Sorted sets that the call has in hand, by key. Whether what is written to them waits for more of its kind.
  call.indexes, call.gathers = ff.no_indexes(call), false
  -- The leaf of the index of ids, the retention slots, and the timers, that the call has in hand.
  call.leaf, call.ended, call.timers = false, false, false
  -- Budgets by id, see lua/budget/record.lua.
  call.budgets = false
  -- The last leaf of the index of ids, and an id that none in it is above, where they are known.
  call.newest_leaf, call.highest_id = false, false
  -- Metered ownerships that the command ended.
  call.let_go = false
  ff.no_moves()
  -- What is announced, see lua/core/notices.lua.
  call.mended = false
  call.marks, call.marked, call.watched, call.is_told, call.ends_until, call.ends = false, false, false, false, false, false
  call.streams_until, call.told_streams = false, false
  -- A stream whose record has not been written yet.
  call.stream = false
end

-- A call of a process that knows older settings than the partition has seen does not run: it reads them and comes again.
-- One that knows newer ones brings them (ruling 17).
local function compare_settings(call)
  local version = call.settings.version
  if version < call.version then error({ err = 'SETTINGS are of version ' .. call.version }) end
  call.version = version
  ff.stand(call)
end

-- KEYS[1] is the log of the partition and names it. ARGV: [now, in a test build], the settings of the deployment, `1` when
-- inputs that have keys of their own stay there, and what the function says besides.
-- Answers the call, and the place of the first of its own arguments.
function ff.open_call(keys, argv)
  if not command then ff.bind() end
  local now, now_text, at = ff.read_clock(argv)
  local call = in_hand
  begin(call, keys[1], argv, at)
  local generation, sequence, time = read_position(call)
  call.generation, call.sequence, call.time = generation, sequence, time
  -- Time in a partition does not go back, unless the last entry is so far ahead that the clock must have jumped (ruling 14).
  if time > now and time <= now + LIMIT.max_clock_lead_ms then now, now_text = time, ff.digits(time) end
  call.now, call.now_text = now, now_text
  if call.settings.version ~= call.version then compare_settings(call) end
  return call, at + 2
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
