-- The steps of `verifyPartition` (src/valkey/verify/verify.ts): each examines a few keys or records, and mends what does not
-- agree with the records. A step is one call, so nothing changes meanwhile.

local load = ff.loader('*')

local steps = {}

-- zset, then names of leaves and of their keys. Removes leaves that the zset does not list; their ids are entered
-- again. Answers how many.
function steps.leaves(call, names, ...)
  local found = { ... }
  local orphans = 0
  for i = 1, #found, 2 do
    if not command('ZSCORE', call.base .. names, found[i]) then
      command('UNLINK', call.base .. found[i + 1])
      orphans = orphans + 1
    end
  end
  return orphans
end

-- zset, first rank, count, prefix and suffix of keys. Removes names whose keys do not exist; the others have one score,
-- except times, which are their own. Answers how many were examined, removed, and misplaced.
function steps.names(call, names, from, count, before, behind)
  local members = command('ZRANGE', call.base .. names, from, from + count - 1, 'WITHSCORES')
  local gone, moved = 0, 0
  for i = 1, #members, 2 do
    local score = names == KEY.retention and members[i] or '0'
    if command('EXISTS', call.base .. before .. members[i] .. behind) == 0 then
      command('ZREM', call.base .. names, members[i])
      gone = gone + 1
    elseif members[i + 1] ~= score then
      command('ZADD', call.base .. names, score, members[i])
      moved = moved + 1
    end
  end
  return { #members / 2, gone, moved }
end

local function belongs(call, names, leaf, shelf, id)
  local home = command('ZREVRANGEBYLEX', call.base .. names, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  if home ~= leaf then return false end
  local ran, execution = pcall(load, call, id)
  if not ran then ff.contain(execution) end
  if not ran or shelf == '' then return not ran or execution ~= nil end
  if not execution then return false end
  if shelf == LIMIT.held then return ff.is_held(execution) end
  if string.sub(shelf, 1, #LIMIT.tag_shelf) == LIMIT.tag_shelf then
    return ff.indexed_tags(call, execution.tags).shelves[shelf] == true
  end
  return SHELVED[shelf] and execution.situation == shelf
end

-- zset, name of a leaf, its key, name of the shelf or nothing. Removes entries that do not belong there, and
-- duplicates. Answers how many.
function steps.leaf(call, names, leaf, key, shelf)
  local ids, seen, wrong = command('LRANGE', call.base .. key, 0, -1), {}, 0
  for i = 1, #ids do
    local id = ids[i]
    if seen[id] or not belongs(call, names, leaf, shelf, id) then
      command('LREM', call.base .. key, 1, id)
      wrong = wrong + 1
    end
    seen[id] = true
  end
  if command('EXISTS', call.base .. key) == 0 then command('ZREM', call.base .. names, leaf) end
  return wrong
end

-- Whether an entry can be right in a queue, in the list of suspended executions, or, without either, in the timers. Its
-- score is checked with its record.
local function can_stand(call, queue, member)
  local id = member
  if queue == '' then
    if string.sub(member, 1, #TIMER.admission) == TIMER.admission then
      local holding = command('HGET', call.base .. KEY.admissions, string.sub(member, #TIMER.admission + 1))
      return holding and string.match(holding, '\t(%d+)$') ~= nil
    end
    if string.sub(member, 1, #TIMER.execution) ~= TIMER.execution then return true end
    id = string.sub(member, #TIMER.execution + 1)
  end
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    return true
  end
  if not execution then return false end
  if queue == '' then return true end
  if queue == KEY.suspended then return execution.situation == SITUATION.suspended end
  local _, lane_id, execution_kind = ff.split_naming(execution.naming)
  return ff.is_queued(execution) and queue == KEY.queue .. lane_id .. '\t' .. execution.needs .. '\t' .. execution_kind
end

-- Name of a queue's key or nothing, first rank, count. Removes entries that cannot belong there. Answers how many were
-- examined, and how many removed.
function steps.scored(call, queue, from, count)
  local key = queue == '' and call.timers_key or call.base .. queue
  local members, wrong = command('ZRANGE', key, from, from + count - 1), 0
  for i = 1, #members do
    if not can_stand(call, queue, members[i]) then
      command('ZREM', key, members[i])
      wrong = wrong + 1
    end
  end
  return { #members, wrong }
end

-- Times of existing slots: each is entered where purges start. Answers how many were missing.
function steps.slots(call, ...)
  local times, mended = { ... }, 0
  for i = 1, #times do mended = mended + command('ZADD', call.base .. KEY.retention, 'CH', times[i], times[i]) end
  return mended
end

-- Lane, and names of its existing queues. Answers how many names were missing or superfluous.
function steps.queues(call, lane_id, ...)
  local key, metered = call.base .. KEY.queues .. lane_id, call.base .. KEY.metered .. lane_id
  local names, wrong = { ... }, 0
  for i = 1, #names do
    local needs, kind = string.match(names[i], '^(.*)\t([^\t]*)$')
    if ff.meters_of(needs) then
      wrong = wrong + command('ZADD', metered, 'CH', '0', ff.metered_place(needs, kind))
    else
      wrong = wrong + command('SADD', key, names[i])
    end
  end
  local listed = command('SMEMBERS', key)
  for i = 1, #listed do
    if command('EXISTS', call.base .. KEY.queue .. lane_id .. '\t' .. listed[i]) == 0 then
      command('SREM', key, listed[i])
      wrong = wrong + 1
    end
  end
  local places = command('ZRANGE', metered, 0, -1)
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    if not needs or command('EXISTS', call.base .. KEY.queue .. lane_id .. '\t' .. needs .. '\t' .. kind) == 0 then
      command('ZREM', metered, places[i])
      wrong = wrong + 1
    end
  end
  return wrong
end

-- Admissions with a due time must have a timer. Answers how many had none, or another one.
function steps.admissions(call)
  local entries, mended = command('HGETALL', call.base .. KEY.admissions), 0
  for i = 1, #entries, 2 do
    local due_at = string.match(entries[i + 1], '\t(%d+)$')
    if due_at then
      mended = mended + command('ZADD', call.timers_key, 'CH', due_at, TIMER.admission .. entries[i])
    end
  end
  return mended
end

-- Id of a quota policy. Answers 1 when its timer differed. Sets it aside when it cannot be read.
function steps.quota(call, id)
  local ran, answer = pcall(ff.verify_quota, call, id)
  if ran then return answer end
  ff.contain(answer)
  ff.set_aside(call, TIMER.quota_policy .. id, answer)
  return 0
end

-- See lua/partition/verify-entries.lua.
function steps.stored(...) return ff.verify_stored(...) end
function steps.listed(...) return ff.verify_listed(...) end
function steps.entry(...) return ff.verify_entry(...) end

-- A kind and an id, separated by a colon, and what is wrong with the record. Sets it aside.
function steps.aside(call, name, why)
  ff.timers_of(call)
  ff.set_aside(call, name, why)
  return 0
end

-- See lua/flow/verify.lua.
function steps.members(...) return ff.verify_members(...) end
function steps.edges(...) return ff.verify_edges(...) end
function steps.flow_edges(...) return ff.verify_flow_edges(...) end
function steps.only_edge(...) return ff.verify_only_edge(...) end
function steps.leading(...) return ff.verify_leading(...) end

-- See lua/step/verify.lua.
function steps.values(...) return ff.verify_values(...) end

-- See lua/partition/broken-off.lua.
function steps.broken(...) return ff.mark_of(...) end
function steps.reserve(...) return ff.reserve_mending(...) end
function steps.give_back(...) return ff.give_back_mending(...) end
function steps.mark(...) return ff.mark_later(...) end
function steps.mended(...) return ff.clear_mark(...) end

-- Slot, first index, count. Answers ids.
function steps.slot(call, at, from, count)
  return command('LRANGE', call.base .. KEY.slot .. at, from, from + count - 1)
end

-- Slot and ids that are missing from it. Answers how many were.
function steps.file(call, at, ...)
  local ids, filed = { ... }, 0
  for i = 1, #ids do
    local ran, execution = pcall(load, call, ids[i])
    if not ran then ff.contain(execution) end
    if ran and execution and ff.is_terminal(execution.situation) and execution.due_at == at then
      command('RPUSH', call.base .. KEY.slot .. at, ids[i])
      filed = filed + 1
    end
  end
  if filed > 0 then command('ZADD', call.base .. KEY.retention, at, at) end
  return filed
end

-- The row of an execution for the counts: id, lane, situation, held, flow.
local function count_row(rows, id, execution)
  local size = #rows
  local _, lane_id = ff.split_naming(execution.naming)
  rows[size + 1], rows[size + 2], rows[size + 3] = id, lane_id, execution.situation
  rows[size + 4] = ff.is_held(execution) and '1' or ''
  rows[size + 5] = ff.is_member(execution) and ff.flow_of(execution) or ''
end

local function mend_one(call, id, rows, mended, unsure)
  local execution = load(call, id)
  if not execution then return end
  ff.check_reindex(call, execution)
  local is_finished = ff.finish_suspension(call, execution)
  count_row(rows, id, execution)
  if is_finished then
    mended[#mended + 1] = 'suspensions'
    return
  end
  local names = ff.reindex(call, execution)
  for i = 1, #names do mended[#mended + 1] = names[i] end
  if execution.slot_length and execution.slot_length > LIMIT.short_slot then
    local size = #unsure
    unsure[size + 1], unsure[size + 2], unsure[size + 3] = id, execution.due_at, execution.last_transition_at
  end
end

-- Ids of records. Files each where it belongs, or sets it aside when it is unreadable. Answers the position of the log,
-- rows for the counts, the indexes that were mended, ids that may be missing from a long slot (ids, slots, times of their
-- ends), the time, and the version of the settings.
function steps.records(call, ...)
  local ids, rows, mended, unsure = { ... }, {}, {}, {}
  for i = 1, #ids do
    local ran, why = pcall(mend_one, call, ids[i], rows, mended, unsure)
    if not ran then
      ff.contain(why)
      ff.set_aside(call, TIMER.execution .. ids[i], why)
    end
  end
  return { call.position, rows, mended, unsure, call.now_text, ff.digits(call.settings.version) }
end

-- Lanes. Answers how many were unknown or misplaced.
function steps.lanes(call, ...)
  local lanes, unknown = { ... }, 0
  for i = 1, #lanes do
    if ff.enter_lane(call, lanes[i]) then unknown = unknown + 1 end
  end
  return unknown
end

-- The entries behind a position, and whether none is missing: a log without the entry of that position and time was
-- trimmed past it, or has lost its end, as on a replica that was promoted.
local function entries_behind(call, position, count)
  if position == call.position then return {}, true end
  local entries = command('XRANGE', call.log_key, position, '+', 'COUNT', count + 1)
  local first = entries[1] and entries[1][1]
  if position == '0-0' then return entries, first and string.match(first, '^1%-') end
  table.remove(entries, 1)
  return entries, first == position
end

-- A position of the log, and a number of entries after it. Answers the position of the last of these, the executions
-- that are their subjects, and `1` when no entry between is missing.
function steps.changed(call, position, count)
  local entries, is_whole = entries_behind(call, position, count)
  local ids = {}
  for i = 1, #entries do
    if #entries[i][2][2] == 22 then ids[#ids + 1] = entries[i][2][2] end
  end
  return { entries[#entries] and entries[#entries][1] or position, ids, is_whole and '1' or '' }
end

local function corrections_of(call)
  local text = command('HGET', call.header_key, HEADER.corrections)
  return text and string.match(text, '^%d+$') or '0'
end

-- A position of the log, the most entries after it, and flows; no flows mean all lanes. Answers nothing when there are
-- more entries, or some are missing; otherwise the current position, rows of the executions of these entries, ids of
-- those that no longer exist, the counts of these flows, or of every lane, `1` when an execution is in quarantine, and
-- the number of corrections so far: all at the same moment.
function steps.recount(call, position, most, ...)
  local entries, is_whole = entries_behind(call, position, most + 1)
  if not is_whole or #entries > tonumber(most) then return false end
  local rows, gone, counts, seen = {}, {}, {}, {}
  for i = 1, #entries do
    local id = entries[i][2][2]
    if not seen[id] and #id == 22 then
      seen[id] = true
      local ran, execution = pcall(load, call, id)
      if not ran then ff.contain(execution) end
      if ran and execution then count_row(rows, id, execution) else gone[#gone + 1] = id end
    end
  end
  local names = { ... }
  for i = 1, #names do names[i] = LIMIT.counted_flow .. names[i] end
  if #names == 0 then names = ff.lanes(call) end
  for i = 1, #names do
    counts[i] = { names[i], command('HGETALL', call.base .. KEY.counts .. names[i]) }
  end
  local is_aside = ff.is_execution_aside(call)
  return { call.position, rows, gone, counts, is_aside and '1' or '', corrections_of(call) }
end

-- The number of corrections so far; then lanes, letters of situations, and numbers: the correction of a count (`add`),
-- or the count that replaces an unreadable one (`set`). Answers the new number of corrections, or nothing when another
-- verification has corrected counts meanwhile: both would add the same.
function steps.correct(call, corrections, ...)
  if corrections_of(call) ~= corrections then return '' end
  local parts = { ... }
  local so_far = ff.digits(corrections + 1)
  command('HSET', call.header_key, HEADER.corrections, so_far)
  for i = 1, #parts, 4 do
    local key, letter, number = call.base .. KEY.counts .. parts[i], parts[i + 1], parts[i + 2]
    if parts[i + 3] == 'set' then command('HSET', key, letter, number) else command('HINCRBY', key, letter, number) end
  end
  return so_far
end

-- Flows with correct counts. Marks a flow as finished if its wrong counts hid that; not while an execution is set aside,
-- which could be a member. Answers those whose cancellation may have stopped.
function steps.ended(call, ...)
  local flows, is_aside, stopped = { ... }, ff.is_execution_aside(call), {}
  for i = 1, #flows do
    local flow = ff.readable_flow(call, flows[i])
    if flow and ff.may_have_lost_cancellation(call, flow) then
      stopped[#stopped + 1] = flow.id
    elseif flow and not is_aside then
      ff.settle_flow(call, flow, {})
    end
  end
  return stopped
end

-- A cancelled flow and some of its members. Goes on with the cancellation if it has stopped before one of these. Answers
-- 1 when it has.
function steps.owed(call, flow_id, ...)
  local flow = ff.readable_flow(call, flow_id)
  return flow and ff.resume_cancellation(call, flow, { ... }) and 1 or 0
end

-- The version of the settings under which all records were checked. From now on lists of tags are read from their
-- shelves.
function steps.tagged(call, version)
  if ff.digits(call.settings.version) == version then command('SET', call.base .. KEY.tagged, version) end
  return 0
end

-- Whether a header has no readable position. Without one it begins anew, as a lost header does.
local function has_no_position(key)
  local text = command('HGET', key, HEADER.position)
  return text and not string.find(text, '^%w*\t%d+%-%d+')
end

-- Names of keys and the types that they should have. Deletes keys of another type, and a header that no call can read,
-- and answers their names. Nothing else can be done while the log or the header is one of them.
function ff.mend_types(keys, argv, at)
  local base = string.sub(keys[1], 1, -1 - #KEY.log)
  local wrong = {}
  for i = at, #argv, 2 do
    local found = command('TYPE', base .. argv[i]).ok
    local is_wrong = found ~= argv[i + 1] or argv[i] == KEY.header and has_no_position(base .. argv[i])
    if found ~= 'none' and is_wrong then
      command('DEL', base .. argv[i])
      wrong[#wrong + 1] = argv[i]
    end
  end
  return wrong
end

-- Steps that can end what a call has begun, which is logged.
local LOGGED = { records = true, edges = true, ended = true, owed = true }

-- Runs a step by its name and answers its result. All records that it sets aside are named, also those that were in
-- quarantine before.
function ff.verify_step(call, name, ...)
  if LOGGED[name] then ff.check_right_to_log(call) end
  call.mended, call.names_all_aside = true, true
  return steps[name](call, ...)
end
