-- The current call: the keys and the header of its partition, the time, and its settings.
-- Absent facts and absent arguments are empty texts, everywhere.

-- The settings of deployments, by their texts in calls, which repeat.
local known_settings, settings_count = {}, 0

-- Parses the settings in a call: version, most entries of a log, retention, and the indexed tags; and whether inputs
-- that have keys of their own are left there.
local function read_settings(text)
  local version, log_max_entries, retention_ms, tags, leaves = string.match(text, '^(%d+)\t(%d+)\t(%d+)\t([^\t]*)(\t?1?)$')
  if not version then error({ err = 'ERR flowfabric: the settings of the call are unreadable' }) end
  local indexed_tags = {}
  for key in string.gmatch(tags, '[^,]+') do indexed_tags[key] = true end
  local settings = {
    version = tonumber(version), log_max_entries = log_max_entries, retention_ms = tonumber(retention_ms),
    -- By key; nil when there are none.
    indexed_tags = tags ~= '' and indexed_tags or nil,
    leaves_inputs = leaves ~= '',
  }
  if settings_count == LIMIT.known_settings then known_settings, settings_count = {}, 0 end
  known_settings[text], settings_count = settings, settings_count + 1
  return settings
end

-- Partitions by their logs. The table of a partition is the current call while one runs there. Between calls it keeps
-- the known state of the partition, so an unchanged header need not be parsed.
local partitions, partition_count = {}, 0

-- Sets the state of a partition of which nothing is known.
local function forget(call)
  -- The sequence, time and id of the newest entry of the log; and the first sequence at which the log is trimmed again.
  call.generation, call.sequence, call.time, call.position, call.trims_from = '', 0, 0, '0-0', 0
  -- The newest version of the settings that the partition has seen, the number of lanes that are paused or draining,
  -- and the text of both in the header.
  call.version, call.stated, call.lasting = 1, 0, ''
  -- Watchers of the partition, see lua/core/notices.lua.
  call.marks, call.watched, call.ends_until, call.streams_until = false, false, false, false
  -- The retention slot that was written last.
  call.slot_at = false
  -- The last leaf of the index of ids, and an upper bound of the ids in it, if known.
  call.newest_leaf, call.highest_id = false, false
  -- Ids of the edges to one execution, see lua/flow/siblings.lua.
  call.incoming = false
  -- The time by which every timer loop looks at the partition again; false when unknown.
  call.looks_by = false
end

local function new_partition(log_key)
  if partition_count == LIMIT.known_partitions then partitions, partition_count = {}, 0 end
  local call, base = {}, string.sub(log_key, 1, -1 - #KEY.log)
  -- "<prefix>{fp:<n>}:", the start of every key of the partition.
  call.base, call.log_key, call.header_key, call.timers_key = base, log_key, base .. KEY.header, base .. KEY.timers
  -- The prefix of the deployment, and the wire form of the partition, "{fp:<n>}".
  call.prefix, call.partition = string.match(base, '^(.-)({[^{}]*}):$')
  -- The text of the header as it was written last; false when the known state may differ from the header.
  call.text = false
  partitions[log_key], partition_count = call, partition_count + 1
  return call
end

-- Something was written without the header, so the known state is not that of the header.
function ff.forget_header(call)
  call.text = false
end

-- The newest entry of the log: its sequence, time and id.
local function newest_entry(call)
  local position = command('XREVRANGE', call.log_key, '+', '-', 'COUNT', 1)[1][1]
  local sequence, time = string.match(position, '^(%d+)-(%d+)$')
  return tonumber(sequence), tonumber(time), position
end

-- A call that failed midway can have left entries after the position in the header. No entry could be written before
-- them.
local function recover_position(call)
  local sequence, time, position = newest_entry(call)
  if sequence > call.sequence then call.sequence, call.time, call.position = sequence, time, position end
end

-- Reads the generation, the position and the time of the newest entry of the log. A log without a header, or a header
-- without its log, starts a new generation, so readers learn that their state is lost. The marks of watchers, if any,
-- follow the position.
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
    if not sequence then ff.damaged('the header of the partition is damaged: verify the partition') end
    call.generation, call.sequence, call.time, call.position = generation, tonumber(sequence), tonumber(time), position
    if marks ~= '' then ff.read_marks(call, marks) end
    call.text = text
    recover_position(call)
  elseif length == 0 then
    local marks = text and string.match(text, '^\t0%-0(.*)$')
    if marks then ff.read_marks(call, marks) elseif text then ff.count_stated(call) end
  else
    call.sequence, call.time, call.position = newest_entry(call)
    ff.count_stated(call)
  end
end

-- Resets the state of the previous call.
local function begin(call, argv, at)
  local settings = argv[at]
  call.settings = known_settings[settings] or read_settings(settings)
  -- Whether this call has written an entry of the log.
  call.appended = false
  -- Whether the caller was found to have the right to write one.
  call.may_log = false
  -- Sorted sets in hand, by key; and whether writes to them are gathered.
  call.indexes, call.gathers = ff.no_indexes(call), false
  -- Units of work that its commands have done beyond one each.
  call.work = 0
  -- Whether a command makes its first write, see lua/core/ids.lua.
  call.is_untouched = false
  -- The leaf of the index of ids, changes of shelves, retention slots and timers in hand.
  call.leaf, call.shelves, call.ended, call.timers = false, false, false, false
  -- Budgets by id, see lua/budget/record.lua. Metered ownerships that the command ended; returned admissions and a
  -- stream that are still to be written.
  call.budgets, call.ended_owners, call.returned, call.stream = false, false, false, false
  -- The last flow; the name of the counts whose number of live members before the call is in `live`; and the members to
  -- which edges led, which stay in hand between completions, with the number of these.
  call.flow, call.counted, call.live, call.members_in_hand, call.completions = false, false, 0, false, false
  -- Whether the execution of the last step is in hand, see lua/step/record.lua.
  call.records_steps = false
  -- Edges of one execution that share an entry of the log, see lua/flow/events.lua.
  call.together = false
  ff.no_moves()
  -- Notices to send, see lua/core/notices.lua.
  call.mended, call.marked, call.announces_log, call.ends, call.noted_streams = false, false, false, false, false
  -- Names of records that it has set aside, see lua/schedule/quarantine.lua.
  call.set_aside, call.names_all_aside = false, false
end

-- A call from a process with older settings than the partition has seen is refused: the process reads the settings and
-- calls again. A call with newer settings brings them (ruling 17).
local function compare_settings(call)
  local version = call.settings.version
  if version < call.version then error({ err = 'SETTINGS are of version ' .. call.version }) end
  call.version = version
  ff.renew_lasting(call)
end

-- KEYS[1] is the log of the partition and identifies it. ARGV: [now, in a test build], the settings of the call, then
-- the function's own arguments. Answers the call, and the index of the first of its own arguments.
function ff.open_call(keys, argv)
  if not command then ff.bind() end
  local now, now_text, at = ff.read_clock(argv)
  local call = partitions[keys[1]] or new_partition(keys[1])
  begin(call, argv, at)
  read_position(call)
  local time = call.time
  -- Time in a partition does not go back, unless the last entry is so far ahead that the clock must have jumped
  -- (ruling 14).
  if time > now and time <= now + LIMIT.max_clock_lead_ms then now, now_text = time, ff.digits(time) end
  call.now, call.now_text = now, now_text
  if call.settings.version ~= call.version then compare_settings(call) end
  return call, at + 1
end

-- Whether a time has come. Texts of equal length compare like their numbers, at lower cost.
function ff.has_passed(call, time)
  local now = call.now_text
  if #time == #now then return time <= now end
  local at = tonumber(time) or ff.damaged('a time is missing')
  return at <= call.now
end

-- Raises the damage of what a caller's key stands for. Only the entry tells of what it was, if no record holds the key,
-- and without it a repeated call would be carried out again: that is for an operator to decide.
function ff.damaged_key(what, name)
  ff.damaged(what .. ' is unreadable: its entry ' .. name .. ' is in the way: verify the partition; once it is deleted, the key is new')
end

-- Raises the damage of a record: the record is set aside, or its command fails alone. Nothing was written before.
function ff.damaged(what)
  error({ err = 'DAMAGED ' .. what })
end
