-- The call in hand: where its keys are, what time it is, and the header of its partition.
-- Absent facts and absent arguments are empty texts, everywhere.

-- What the deployment sets, by the text that calls carry; the same text comes again and again.
local known_settings, settings_count = {}, 0

-- What a call says of the deployment's settings: version, most entries of a log, retention, and the indexed tags; and
-- whether inputs that have keys of their own stay there.
local function read_settings(text)
  local version, log_max_entries, retention_ms, tags, leaves = string.match(text, '^(%d+)\t(%d+)\t(%d+)\t([^\t]*)(\t?1?)$')
  if not version then error({ err = 'ERR flowfabric: the settings of the call are unreadable' }) end
  local indexed_tags = {}
  for key in string.gmatch(tags, '[^,]+') do indexed_tags[key] = true end
  local settings = {
    version = tonumber(version), log_max_entries = log_max_entries, retention_ms = tonumber(retention_ms),
    -- By key; nothing when there are none.
    indexed_tags = tags ~= '' and indexed_tags or nil,
    leaves_inputs = leaves ~= '',
  }
  if settings_count == LIMIT.known_settings then known_settings, settings_count = {}, 0 end
  known_settings[text], settings_count = settings, settings_count + 1
  return settings
end

-- The partitions that calls come to, by their logs. The table of a partition is the call in hand while one runs there, and
-- keeps until the next what is known of its partition: a header that reads as it was written need not be parsed.
local partitions, partition_count = {}, 0

-- Nothing is known of a partition.
local function forget(call)
  -- Of the newest entry of the log, with its id; the first position with which the log is trimmed again.
  call.generation, call.sequence, call.time, call.position, call.trims_from = '', 0, 0, '0-0', 0
  -- The newest version of the settings that the partition has seen, how many lanes are paused or draining, and what stands
  -- of both in the header.
  call.version, call.stated, call.standing = 1, 0, ''
  -- Who waits for news, see lua/core/notices.lua.
  call.marks, call.watched, call.ends_until, call.streams_until = false, false, false, false
  -- The retention slot that was written last.
  call.slot_at = false
  -- The last leaf of the index of ids, and an id that none in it is above, where they are known.
  call.newest_leaf, call.highest_id = false, false
  -- By when every timer loop looks at the partition again; false when that is not known.
  call.looks_by = false
end

local function new_partition(log_key)
  if partition_count == LIMIT.known_partitions then partitions, partition_count = {}, 0 end
  local call, base = {}, string.sub(log_key, 1, -1 - #KEY.log)
  -- "<prefix>{fp:<n>}:", the start of every key of the partition.
  call.base, call.log_key, call.header_key, call.timers_key = base, log_key, base .. KEY.header, base .. KEY.timers
  -- The prefix of the deployment, and the wire form of the partition, "{fp:<n>}".
  call.prefix, call.partition = string.match(base, '^(.-)({[^{}]*}):$')
  -- The text of the header as it was written last; false while what is known is not what stands there.
  call.text = false
  partitions[log_key], partition_count = call, partition_count + 1
  return call
end

-- The header is not what was known of it: something was written without it.
function ff.forget_header(call)
  call.text = false
end

-- The newest entry of the log: its sequence, its time, its position.
local function newest_entry(call)
  local position = command('XREVRANGE', call.log_key, '+', '-', 'COUNT', 1)[1][1]
  local sequence, time = string.match(position, '^(%d+)-(%d+)$')
  return tonumber(sequence), tonumber(time), position
end

-- A call that broke off can have left entries behind the position that the header has. No entry could be written before them.
local function pass_untold(call)
  local sequence, time, position = newest_entry(call)
  if sequence > call.sequence then call.sequence, call.time, call.position = sequence, time, position end
end

-- Reads the generation, the position and the time of the newest entry of the log. A log that is there without a header, or
-- a header without its log, begins a new generation: readers are told that what they knew is lost. Behind the position
-- stand the marks of those that wait for news, if there are any.
local function read_position(call)
  local text = command('HGET', call.header_key, HEADER.position)
  local length = command('XLEN', call.log_key)
  if text and text == call.text and length > 0 then
    if call.ends_until then call.ends = {} end
    return
  end
  forget(call)
  call.text = false
  if text and length > 0 then
    local generation, position, sequence, time, marks = string.match(text, '^(%w*)\t((%d+)-(%d+))(.*)$')
    if not sequence then ff.damaged('the header of the partition is damaged') end
    call.generation, call.sequence, call.time, call.position = generation, tonumber(sequence), tonumber(time), position
    if marks ~= '' then ff.read_marks(call, marks) end
    call.text = text
    pass_untold(call)
  elseif length == 0 then
    local marks = text and string.match(text, '^\t0%-0(.*)$')
    if marks then ff.read_marks(call, marks) elseif text then ff.count_stated(call) end
  else
    call.sequence, call.time, call.position = newest_entry(call)
    ff.count_stated(call)
  end
end

-- Sets what the call before left.
local function begin(call, argv, at)
  local settings = argv[at]
  call.settings = known_settings[settings] or read_settings(settings)
  -- Whether this call has written an entry of the log.
  call.appended = false
  -- Sorted sets that the call has in hand, by key. Whether what is written to them waits for more of its kind.
  call.indexes, call.gathers = ff.no_indexes(call), false
  -- The leaf of the index of ids and those of shelves, the retention slots, and the timers, that the call has in hand.
  call.leaf, call.shelf_leaves, call.ended, call.timers = false, false, false, false
  -- Budgets by id, see lua/budget/record.lua. Metered ownerships that the command ended, and admissions that were returned, and a
  -- stream, that have not been written yet.
  call.budgets, call.let_go, call.returned, call.stream = false, false, false, false
  -- The flow that was looked at last; that of which it is known how many members had not ended before the call, by the name of
  -- its counts; and the execution that edges led to last, which stays in hand between completions, with how many there are.
  call.flow, call.counted, call.live, call.downstream, call.completions = false, false, 0, false, false
  -- Whether the execution of the step before is in hand, see lua/step/record.lua.
  call.records_steps = false
  -- Edges that lead to one execution, as they were read.
  call.edges = false
  ff.no_moves()
  -- What is announced, see lua/core/notices.lua.
  call.mended, call.marked, call.is_told, call.ends, call.told_streams = false, false, false, false, false
end

-- A call of a process that knows older settings than the partition has seen does not run: it reads them and comes again.
-- One that knows newer ones brings them (ruling 17).
local function compare_settings(call)
  local version = call.settings.version
  if version < call.version then error({ err = 'SETTINGS are of version ' .. call.version }) end
  call.version = version
  ff.stand(call)
end

-- KEYS[1] is the log of the partition and names it. ARGV: [now, in a test build], the settings of the call, and what the
-- function says besides.
-- Answers the call, and the place of the first of its own arguments.
function ff.open_call(keys, argv)
  if not command then ff.bind() end
  local now, now_text, at = ff.read_clock(argv)
  local call = partitions[keys[1]] or new_partition(keys[1])
  begin(call, argv, at)
  read_position(call)
  local time = call.time
  -- Time in a partition does not go back, unless the last entry is so far ahead that the clock must have jumped (ruling 14).
  if time > now and time <= now + LIMIT.max_clock_lead_ms then now, now_text = time, ff.digits(time) end
  call.now, call.now_text = now, now_text
  if call.settings.version ~= call.version then compare_settings(call) end
  return call, at + 1
end

-- Whether a time has come. Texts of one length compare as their numbers do, and cost less.
function ff.has_come(call, time)
  local now = call.now_text
  if #time == #now then return time <= now end
  local at = tonumber(time) or ff.damaged('a time is missing')
  return at <= call.now
end

-- Raises what makes a record unreadable: it is set aside, or its command fails alone. Nothing was written yet.
function ff.damaged(what)
  error({ err = 'DAMAGED ' .. what })
end
