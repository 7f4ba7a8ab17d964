-- create_execution: see model/execution/create.ts

local load_waiting = ff.loader('naming', 'bounds', 'needs', 'fence', 'timing', 'rules', 'wait', 'streams')

-- The deadline from the rules: below the bound a duration, else a time.
local function deadline_of(call, rules)
  local deadline_ms = rules.deadline_ms
  if not deadline_ms or deadline_ms >= LIMIT.absolute_time_from then return deadline_ms end
  return math.min(call.now + deadline_ms, LIMIT.max_integer)
end

-- Facts shared by creations with nothing but the facts of every execution and the default priority: one table for all
-- of them.
local plain = {
  is_reused = true,
  is_plain = true, rules = {}, priority = LIMIT.default_priority, encoding = '', empty_given = '\t\t', delay = '', deadline = '',
  needs = '', tags = '', policy_text = '', extras = '', more = {}, life = SITUATION.ready,
  reply = ANSWER.created .. 'waiting\t' .. LIMIT.default_priority,
  is_ready = true, naming = false, namespace = false, lane_id = false, queue = false, score = 0, score_text = '',
  holds_key = false, is_checked = false, lane_is_new = false, bytes = false, given_with_bytes = '', given = false, stored_given = '',
}

local function plain_group(call, naming, namespace, lane_id, queue)
  plain.naming, plain.namespace, plain.lane_id, plain.queue = naming, namespace, lane_id, queue
  plain.score, plain.score_text, plain.is_checked, plain.lane_is_new, plain.given = call.now, call.now_text, false, false, false
  return plain
end

-- The life of a new execution that is delayed, or has more than every execution. The life of a ready one has no time of
-- its last change if the creation time in the core says it, so executions that are alike have the same life.
local function first_life(call, delay, extras, fits)
  if delay == '' then return ff.life_text(SITUATION.ready, '', '', fits and '' or call.now_text, '', '', extras) end
  return ff.life_text(SITUATION.delayed, '', delay, call.now_text, '', '', extras)
end

-- A field that most creations do not have.
function ff.also(change, field, text)
  if text == '' then return end
  local size = #change
  change[size + 1], change[size + 2] = field, text
end

-- Fields and texts that only some creations have, shared by a group.
local function more_fields(delay, needs, rules, tags, policy)
  local more = {}
  ff.also(more, FIELD.wait, delay)
  ff.also(more, FIELD.needs, needs)
  ff.also(more, FIELD.rules, rules)
  ff.also(more, FIELD.tags, tags)
  ff.also(more, FIELD.policy, policy)
  return more
end

-- Whether all these texts fit into the core.
local function all_fit(more)
  for i = 2, #more, 2 do
    if #more[i] > LIMIT.max_field_bytes or more[i] == LIMIT.spilled then return false end
  end
  return true
end

-- Writes the record of a creation: the key, its own fields and texts, then those that the group shares.
function ff.write_creation(change, creation)
  local key, size, more = change[1], #change, creation.more
  for i = 1, #more, 2 do change[size + i], change[size + i + 1] = more[i], ff.fit(key, more[i], more[i + 1]) end
  command('HSET', unpack(change))
end

-- Facts that all creations of a group share.
function ff.shared_creation(call, naming, options, policy, rules, needs, tags)
  local namespace, lane_id, execution_kind = ff.split_naming(naming)
  local queue = ff.queue_of(call, lane_id, needs, execution_kind)
  if rules == '' and tags == '' and needs == '' and options == '' and #naming <= LIMIT.max_field_bytes then
    return plain_group(call, naming, namespace, lane_id, queue)
  end
  local priority_text, payload_encoding, deadline_text, delay_text, holds_key = '', '', '', '', ''
  if options ~= '' then
    priority_text, payload_encoding, deadline_text, delay_text, holds_key =
      string.match(options, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t?(.*)$')
  end
  local parsed = ff.rules(rules)
  local delay_until = tonumber(delay_text) or parsed.delay_until
  if delay_until and delay_until <= call.now then delay_until = nil end
  local priority = tonumber(priority_text) or parsed.priority or LIMIT.default_priority
  local delay = ff.text_of(delay_until)
  local deadline = ff.text_of(tonumber(deadline_text) or deadline_of(call, parsed))
  local score, score_text = call.now, call.now_text
  if priority ~= 0 then
    score = call.now - priority * LIMIT.priority_step
    score_text = ff.digits(score)
  end
  local empty_given = (priority == 0 and '' or priority) .. '\t\t' .. payload_encoding
  local extras = (deadline ~= '' and FIELD.bounds or '') .. (delay ~= '' and FIELD.wait or '') .. (tags ~= '' and FIELD.tags or '')
    .. (needs ~= '' and FIELD.needs or '') .. (rules ~= '' and FIELD.rules or '')
  -- The shared part of `given` is followed by the size of the input, the time and the priority.
  local fits = #empty_given + 36 <= LIMIT.max_field_bytes
  local more = more_fields(delay, needs, rules, tags, policy)
  local is_plain = fits and #naming <= LIMIT.max_field_bytes and delay == '' and deadline == '' and all_fit(more)
  return {
    is_plain = is_plain, life = is_plain and extras == '' and SITUATION.ready or first_life(call, delay, extras, fits),
    is_ready = delay == '', naming = naming, priority = priority, score = score, score_text = score_text, queue = queue, rules = parsed,
    encoding = payload_encoding, empty_given = empty_given, delay = delay, deadline = deadline, namespace = namespace,
    lane_id = lane_id, needs = needs, tags = tags, extras = extras, holds_key = holds_key ~= '',
    -- The text of the policy in the log: the rules, when they contain all of the policy.
    policy_text = policy ~= '' and policy or rules, more = more,
  }
end

-- A group whose executions are blocked or held from the start: what `group` is, with the facts of the block.
local function blocked_group(call, group, letter, detail)
  local copy = {}
  for name, value in pairs(group) do copy[name] = value end
  copy.is_reused, copy.is_plain, copy.is_ready, copy.detail = false, false, false, detail
  copy.more = { unpack(group.more) }
  if letter == LIMIT.initial_hold then
    local _, _, _, creator_identity = ff.split_naming(group.naming)
    copy.held_by, copy.extras = creator_identity, group.extras .. FIELD.hold
    ff.also(copy.more, FIELD.hold, ff.hold_text(call.now_text, creator_identity))
    ff.also(copy.more, FIELD.hold_reason, detail)
    copy.life = first_life(call, group.delay, copy.extras, false)
  else
    copy.block = letter
    ff.also(copy.more, FIELD.blocking_detail, detail)
    copy.life = ff.life_text(letter, '', '', call.now_text, '', '', group.extras)
  end
  local state = PUBLIC_STATE[copy.block or group.delay == '' and SITUATION.ready or SITUATION.delayed]
  copy.reply = ANSWER.created .. state .. '\t' .. group.priority
  return copy
end

function ff.prepare.create_execution(call, naming, options, policy, rules, needs, tags, when_full, initial_block)
  local group = ff.shared_creation(call, naming, options, policy, rules, needs, tags)
  if initial_block ~= '' then
    return blocked_group(call, group, string.sub(initial_block, 1, 1), string.sub(initial_block, 2))
  end
  if when_full ~= '' and group.delay == '' and ff.meters_of(needs) then
    group.strategy, group.room = string.match(when_full, '^(%a)(%d+)$')
    group.room = tonumber(group.room)
  end
  if not group.reply then
    group.reply = ANSWER.created .. (group.delay == '' and 'waiting\t' or 'delayed\t') .. group.priority
  end
  return group
end

-- The execution to which a valid idempotency key points, or nil once that is gone: it was dropped, or the clock had
-- jumped. A key that its execution holds is valid after its time.
local function first_of_key(call, name)
  local entry = guarded('GET', name)
  if not entry then return nil end
  local expires_at, id, held
  if type(entry) == 'string' then expires_at, id, held = string.match(entry, '^(%d+)\t([^\t]*)(.*)$') end
  if not id then ff.damaged_key('the idempotency key', name) end
  if (held ~= '' or tonumber(expires_at) > call.now) and command('EXISTS', call.base .. id) == 1 then return id end
  return nil
end

-- The entry of the key that an execution holds, and the id in it; nil if it is lost or unreadable.
local function held_entry(call, execution)
  local name = call.base .. KEY.idempotency .. ff.split_naming(execution.naming) .. ':' .. execution.own
  local entry = guarded('GET', name)
  return name, type(entry) == 'string' and string.match(entry, '^%d+\t([^\t]+)') or nil
end

-- Frees the key that an execution holds when that is purged.
function ff.forget_key(call, execution)
  local name, id = held_entry(call, execution)
  if id == execution.id then command('UNLINK', name) end
end

-- Rebuilds the entry of the key that an execution holds. Needs bounds loaded. Answers whether it was not there.
function ff.mend_key(call, execution)
  local name, id = held_entry(call, execution)
  if id then return false end
  command('UNLINK', name)
  ff.remember(name, execution.idempotency_expires_at .. '\t' .. execution.id .. LIMIT.held_key)
  return true
end

local function duplicate(key, input_at, id)
  ff.discard_bytes(key .. SUFFIX.input, input_at)
  return ANSWER.duplicate .. id
end

-- The oldest waiting execution of a full quota, ready to be cancelled; nil when none waits.
local function load_replaced(call, group)
  local id = ff.oldest_in(call, group.queue)
  local oldest = id and load_waiting(call, id)
  if not oldest then return nil end
  oldest.purge_at, oldest.purge_text = ff.check_ending(call, oldest)
  ff.check_queue_of(call, oldest)
  return oldest
end

local function replace(call, group, new, oldest)
  ff.apply.execution_created(call, group, new)
  ff.apply.execution_cancelled(call, oldest, LIMIT.replacer, LIMIT.replaced_reason, oldest.purge_at, oldest.purge_text)
end

-- A creation with a block from the start. The group's record has it already; this is the rest of the second event.
local function create_blocked(call, group, new)
  ff.apply.execution_created(call, group, new)
  if group.block then
    ff.reshelve(call, new.id, SITUATION.ready, group.block)
    ff.append(call, EVENT.execution_blocked, new.id, group.block, group.detail)
  else
    ff.tally(call, group.lane_id, nil, LIMIT.held)
    ff.shelve(call, LIMIT.held, new.id)
    ff.append(call, EVENT.execution_held, new.id, group.held_by, group.detail)
  end
end

-- Checks every key to which the creation writes. The id is entered first, unless an execution is replaced.
local function check_places(call, group, id, replaces)
  ff.check_ids(call, id, not replaces)
  if group.is_checked then return end
  if group.delay ~= '' or group.deadline ~= '' then ff.timers_of(call) end
  group.lane_is_new = ff.check_queue(call, group.queue)
  group.is_checked = true
end

-- The record of a creation with more than the plain facts.
local function record_of(group, id, key, given)
  return {
    id = id, key = key, given = given,
    situation = group.block or group.delay == '' and SITUATION.ready or SITUATION.delayed,
    life = group.life, due_at = group.delay, execution_deadline_at = group.deadline, attempt_timeout_at = '', bounds = '',
    idempotency_key = '', idempotency_name = false, idempotency_expires_at = '', input_at = '', input = '',
  }
end

-- The facet `given` for an input of this size, which is mostly that of the previous creation.
local function given_of(group, bytes)
  if bytes ~= group.bytes then
    group.bytes = bytes
    group.given_with_bytes = (group.priority == 0 and '' or group.priority) .. '\t' .. ff.digits(bytes) .. '\t' .. group.encoding
  end
  return group.given_with_bytes
end

function ff.decide.create_execution(call, group, execution_id, input_payload_at, input_payload, idempotency_key)
  local key = call.base .. execution_id
  local name, expires_at = nil, ''
  if idempotency_key ~= '' then
    name = call.base .. KEY.idempotency .. group.namespace .. ':' .. idempotency_key
    local first = first_of_key(call, name)
    if first then return duplicate(key, input_payload_at, first) end
    expires_at = ff.digits(call.now + (group.rules.dedup_window_ms or LIMIT.default_dedup_window_ms))
  end
  if command('EXISTS', key) == 1 then return duplicate(key, input_payload_at, execution_id) end
  if call.stated > 0 and ff.state_of_lane(call, group.lane_id) == LANE_STATE.draining then
    ff.discard_bytes(key .. SUFFIX.input, input_payload_at)
    return ff.reject('lane_draining', 'laneId', group.lane_id)
  end
  local oldest = nil
  if group.strategy and ff.waiting_in(group.queue) >= group.room then
    if group.strategy == WHEN_FULL.drop then
      ff.discard_bytes(key .. SUFFIX.input, input_payload_at)
      return KIND.dropped
    end
    oldest = load_replaced(call, group)
  end
  local given = group.empty_given
  if input_payload_at ~= '' then
    if input_payload_at ~= LIMIT.bytes_here and ff.lacks_bytes(key .. SUFFIX.input, input_payload_at, input_payload) then
      return LIMIT.not_staged
    end
    given = given_of(group, ff.count_bytes(input_payload_at, input_payload))
  end
  check_places(call, group, execution_id, oldest)
  if group.is_plain and not name and not oldest then
    return group.reply, ff.apply.plain_creation, group, execution_id, key, given, input_payload_at, input_payload
  end
  local new = record_of(group, execution_id, key, given)
  new.input_at, new.input = input_payload_at, input_payload
  if name then new.idempotency_key, new.idempotency_name, new.idempotency_expires_at = idempotency_key, name, expires_at end
  if group.deadline ~= '' or name then new.bounds = group.deadline .. '\t' .. expires_at end
  local extras = (name and group.deadline == '' and FIELD.bounds or '') .. (name and group.holds_key and FIELD.own or '')
  if extras ~= '' then
    local life = group.life
    -- A life of one letter has no extras.
    if life == SITUATION.ready then life = first_life(call, '', '', true) end
    new.life = life .. extras
  end
  if oldest then
    return { KIND.replaced, 'waiting', group.priority, oldest.id }, replace, group, new, oldest
  end
  if not group.detail then return group.reply, ff.apply.execution_created, group, new end
  return group.reply, create_blocked, group, new
end

-- find_execution: namespace, idempotency_key. Answers the id that a live key names, or nothing.
function ff.query.find_execution(call, namespace, idempotency_key)
  return first_of_key(call, call.base .. KEY.idempotency .. namespace .. ':' .. idempotency_key) or false
end
