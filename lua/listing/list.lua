-- list_execution_summaries: see model/listing/list.ts
--
-- A list is walked from the highest id down: over a shelf that contains all possible matches; over queues, timers and
-- suspended executions when these are few; otherwise over all ids. A page examines a bounded number of executions.

local load = ff.loader('naming', 'given')
-- Facets that only some executions have: read when the rest matches.
local load_more = ff.loader('retries', 'edits', 'tags')
-- For cancelled executions.
local load_ending = ff.loader('ending')
-- For active executions.
local load_owner = ff.loader('worker', 'fence')

-- Ids from leaves, below a bound, descending. `key_of` names the list of a leaf.
local function leaves(names, key_of, before)
  local bound = before == '' and '+' or '(' .. before
  local source = { ids = {}, at = 0 }
  function source.more()
    while source.at == 0 and bound do
      local leaf = command('ZREVRANGEBYLEX', names, bound, '-', 'LIMIT', 0, 1)[1]
      bound = leaf and '(' .. leaf
      if leaf then
        local ids = command('LRANGE', key_of(leaf), 0, -1)
        ff.sort(ids)
        local at = #ids
        if before ~= '' then
          while at > 0 and not ff.is_before(ids[at], before) do at = at - 1 end
        end
        source.ids, source.at = ids, at
      end
    end
    return source.ids[source.at]
  end
  return source
end

local function all_ids(call, before)
  return leaves(call.base .. KEY.ids, function(leaf) return call.base .. KEY.leaf .. leaf end, before)
end

local function shelf(call, name, before)
  return leaves(ff.shelf_key(call, name), function(leaf) return ff.shelf_leaf_key(call, name, leaf) end, before)
end

-- A few ids in a table.
local function array(ids, before)
  local below = {}
  for i = 1, #ids do
    if before == '' or ff.is_before(ids[i], before) then below[#below + 1] = ids[i] end
  end
  ff.sort(below)
  local source = { ids = below, at = #below }
  function source.more() return source.ids[source.at] end
  return source
end

local function append_all(to, ids)
  for i = 1, #ids do to[#to + 1] = ids[i] end
end

-- The entries of the queues of a lane, or of all lanes, up to a score; nil when they are too many to sort.
local function queued(call, lane_id, highest)
  local ids, room = {}, LIMIT.max_live
  local lanes = lane_id ~= '' and { lane_id } or ff.lanes_after(call, '', LIMIT.max_live + 1)
  if #lanes > LIMIT.max_live then return nil end
  for i = 1, #lanes do
    local names = ff.queue_names(call, lanes[i])
    for j = 1, #names do
      local key = call.base .. KEY.queue .. lanes[i] .. '\t' .. names[j]
      room = room - command('ZCOUNT', key, '-inf', highest) - 1
      if room < 0 then return nil end
      append_all(ids, command('ZRANGEBYSCORE', key, '-inf', highest))
    end
  end
  return ids
end

-- Whether one of these situations is among the letters.
local function has_any(letters, situations)
  for i = 1, #situations do
    if string.find(letters, situations[i], 1, true) then return true end
  end
  return false
end

local LOST = { SITUATION.lease_expired, SITUATION.lease_revoked }

-- The entries of queues that can be in these situations; nil when they are too many to sort. Lost executions stand before
-- those that wait, which can be many.
local function claimable(call, letters, lane_id)
  if string.find(letters, SITUATION.ready, 1, true) then return queued(call, lane_id, '+inf') end
  if has_any(letters, LOST) then return queued(call, lane_id, '(' .. LIMIT.first_waiting_score) end
  return {}
end

-- The executions with timers: all owned or delayed ones, and more; nil when they are too many, or stand among too many
-- others.
local function timed(call)
  local key = call.timers_key
  local count, ids, size = command('ZCARD', key), {}, #TIMER.execution
  if count > LIMIT.max_timers_read then return nil end
  for from = 0, count - 1, LIMIT.max_live do
    local members = command('ZRANGE', key, from, from + LIMIT.max_live - 1)
    for i = 1, #members do
      if string.sub(members[i], 1, size) == TIMER.execution then ids[#ids + 1] = string.sub(members[i], size + 1) end
    end
    if #ids > LIMIT.max_live then return nil end
  end
  return ids
end

-- The suspended executions; nil when they are too many to sort.
local function suspended(call)
  local key = call.base .. KEY.suspended
  if command('ZCARD', key) > LIMIT.max_suspended then return nil end
  return command('ZRANGE', key, 0, -1)
end

-- The shelf of one of these tags, if one is indexed and its shelves are complete: they are from the first boot on, and
-- after a change of the settings once `verify_partition` has passed all records.
local function tag_shelf_of(call, tags)
  local indexed, version = call.settings.indexed_tags, ff.digits(call.settings.version)
  for i = 1, indexed and #tags or 0 do
    local key, value = string.match(tags[i], '^"([^"]*)":(.*)$')
    if key and indexed[key] and (version == '1' or command('GET', call.base .. KEY.tagged) == version) then
      return ff.tag_shelf(key, value)
    end
  end
  return nil
end

-- The sources that contain the executions in these situations.
local function sources_of(call, letters, held, lane_id, before, tags)
  local of_tag = tag_shelf_of(call, tags)
  if of_tag then return { shelf(call, of_tag, before) } end
  if held == '1' then return { shelf(call, LIMIT.held, before) } end
  if letters == '' or string.find(letters, SITUATION.completed, 1, true) then return { all_ids(call, before) } end
  local sources, on_shelves = {}, true
  for i = 1, #letters do
    local letter = string.sub(letters, i, i)
    if SHELVED[letter] then
      sources[#sources + 1] = shelf(call, letter, before)
    elseif letter == SITUATION.suspended then
      local ids = suspended(call)
      if not ids then return { all_ids(call, before) } end
      sources[#sources + 1] = array(ids, before)
    else
      on_shelves = false
    end
  end
  if on_shelves then return sources end
  -- An execution that is neither in a queue nor on a shelf, nor held, has a timer.
  local live = timed(call)
  local waiting = live and claimable(call, letters, lane_id)
  if not waiting then return { all_ids(call, before) } end
  append_all(live, waiting)
  sources[#sources + 1] = array(live, before)
  sources[#sources + 1] = shelf(call, LIMIT.held, before)
  return sources
end

-- The highest id of any source, removed from all sources that have it.
local function take(sources)
  local highest
  for i = 1, #sources do
    local id = sources[i].more()
    if id and (not highest or ff.is_before(highest, id)) then highest = id end
  end
  if not highest then return nil end
  for i = 1, #sources do
    local source = sources[i]
    while source.more() == highest do source.at = source.at - 1 end
  end
  return highest
end

local function is_there(naming, want)
  local namespace, lane_id, execution_kind = ff.split_naming(naming)
  if want.namespace ~= '' and want.namespace ~= namespace then return false end
  if want.lane_id ~= '' and want.lane_id ~= lane_id then return false end
  return want.execution_kind == '' or want.execution_kind == execution_kind
end

-- Whether executions with this naming match. Few namings recur, so `want.namings` caches the answers.
function ff.is_named(naming, want)
  local answer = want.namings[naming]
  if answer == nil then
    answer = is_there(naming, want)
    want.namings[naming] = answer
  end
  return answer
end

-- Whether the facts of every execution match.
local function is_alike(execution, want)
  if want.letters ~= '' and not string.find(want.letters, execution.situation, 1, true) then return false end
  if want.held == '1' and not ff.is_held(execution) then return false end
  return ff.is_named(execution.naming, want)
end

-- Whether the naming alone tells that an execution does not match: when one lane of many is listed, most do not.
local function is_elsewhere(call, id, want)
  if not want.is_of_some then return false end
  local naming = guarded('HGET', call.base .. id, FIELD.naming)
  return type(naming) == 'string' and naming ~= LIMIT.spilled and not ff.is_named(naming, want)
end

-- Whether the JSON of an execution's tags has all of these members.
function ff.has_tags(json, members)
  for i = 1, #members do
    -- A member of a JSON object with its quotes occurs only there: inside texts, quotes are escaped.
    if not string.find(json, members[i], 1, true) then return false end
  end
  return true
end

local function has_all(execution, want)
  if not ff.has_tags(execution.tags, want.tags) then return false end
  if want.cancelled_by ~= '' and want.cancelled_by ~= execution.cancelled_by then return false end
  if want.worker ~= '' and want.worker ~= execution.current_worker_instance_id then return false end
  return want.category == '' or want.category == execution.failure_category
end

-- The execution of an id if it matches.
local function wanted_of(call, id, want)
  if is_elsewhere(call, id, want) then return nil end
  local execution = load(call, id)
  if not execution or not is_alike(execution, want) then return nil end
  local more = execution
  if execution.extras == '' then
    more.retries, more.edits, more.tags = '', '', ''
  else
    more = load_more(call, id)
    more.naming, more.given = execution.naming, execution.given
  end
  ff.read_retries(more)
  ff.read_edits(more)
  more.worker, more.fence, more.cancelled_by = '', '', ''
  if execution.situation == SITUATION.cancelled then
    local ending = load_ending(call, id)
    ff.read_ending(ending)
    more.cancelled_by = ending.cancelled_by
  end
  if ff.is_active(execution.situation) then
    local owner = load_owner(call, id)
    ff.read_worker(owner)
    more.worker, more.fence, more.current_worker_instance_id = owner.worker, owner.fence, owner.current_worker_instance_id
  end
  return has_all(more, want) and more
end

-- Unreadable records are shown in the quarantine instead.
function ff.wanted_row(call, id, want)
  local ran, execution = pcall(wanted_of, call, id, want)
  if not ran then
    ff.contain(execution)
    return nil
  end
  return execution
end

local ROW = 13

-- Appends a row: id, naming, given, situation, last transition, attempts, failure category, replays, held, worker,
-- fence, requester of the cancellation, tags.
function ff.add_row(rows, id, execution)
  local size = #rows
  rows[size + 1], rows[size + 2], rows[size + 3], rows[size + 4] = id, execution.naming, execution.given, execution.situation
  rows[size + 5], rows[size + 6] = execution.last_transition_at, execution.total_attempt_count
  rows[size + 7], rows[size + 8] = execution.failure_category, execution.replay_count
  rows[size + 9] = ff.is_held(execution) and '1' or ''
  rows[size + 10], rows[size + 11], rows[size + 12] = execution.worker, execution.fence, execution.cancelled_by
  rows[size + 13] = execution.tags
end

-- Id before which the page starts (or empty), limit, namespace, lane_id, execution_kind, letters of situations, held,
-- failure_category, cancelled_by, a worker instance, and a text for each tag.
-- Answers the id after which the list continues, or nothing, and rows.
function ff.query.list_execution_summaries(call, before, limit_text, namespace, lane_id, execution_kind, letters, held,
  category, cancelled_by, worker, ...)
  local want = {
    namespace = namespace, lane_id = lane_id, execution_kind = execution_kind, letters = letters, held = held,
    category = category, cancelled_by = cancelled_by, worker = worker, tags = { ... }, namings = {},
    is_of_some = namespace ~= '' or lane_id ~= '' or execution_kind ~= '',
  }
  local sources = sources_of(call, letters, held, lane_id, before, want.tags)
  local limit, rows, looked_at, bytes, last = tonumber(limit_text), {}, 0, 0, nil
  while true do
    if bytes > LIMIT.max_page_bytes then return { last, rows } end
    local id = take(sources)
    if not id then return { false, rows } end
    if looked_at == LIMIT.max_looked_at then return { last, rows } end
    looked_at = looked_at + 1
    local execution = ff.wanted_row(call, id, want)
    if execution then
      local size = #rows
      if size == limit * ROW then return { rows[size - ROW + 1], rows } end
      ff.add_row(rows, id, execution)
      bytes = bytes + #execution.tags
    end
    last = id
  end
end
