-- create_execution: see model/execution/create.ts

-- The end of an execution's time by its rules: below the bound a duration, else a time.
local function deadline_of(call, rules)
  local deadline_ms = rules.deadline_ms
  if not deadline_ms or deadline_ms >= LIMIT.absolute_time_from then return deadline_ms end
  return math.min(call.now + deadline_ms, LIMIT.max_integer)
end

-- What all creations of a group share: who, what, where, and the policy.
function ff.prepare.create_execution(call, naming, options, policy, rules_text, required_capabilities, tags)
  local namespace, lane_id, execution_kind = ff.split_naming(naming)
  local priority, payload_encoding, deadline, delay = '', '', '', ''
  if options ~= '' then priority, payload_encoding, deadline, delay = string.match(options, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$') end
  local rules = ff.rules(rules_text)
  local delay_until = tonumber(delay) or rules.delay_until
  if delay_until and delay_until <= call.now then delay_until = nil end
  local priority_number = tonumber(priority) or rules.priority or LIMIT.default_priority
  return {
    naming = naming, namespace = namespace, lane_id = lane_id, execution_kind = execution_kind, needs = required_capabilities,
    rules = rules, rules_text = rules_text, policy = policy, tags = tags,
    priority = priority_number, payload_encoding = payload_encoding,
    delay_until = ff.text_of(delay_until), deadline = ff.text_of(tonumber(deadline) or deadline_of(call, rules)),
    queue = ff.queue_of(call, lane_id, required_capabilities, execution_kind),
    life = ff.life_text(delay_until and SITUATION.delayed or SITUATION.ready, '', ff.text_of(delay_until), call.now_text, '', ''),
    has_more = rules_text ~= '' or tags ~= '' or required_capabilities ~= '' or deadline ~= '' or delay_until ~= nil,
  }
end

-- The execution that a live idempotency key points to, or nil.
local function first_of_key(call, name)
  local entry = command('GET', name)
  if not entry then return nil end
  local expires_at, id = string.match(entry, '^(%d+)\t(.*)$')
  if not id then ff.damaged('the idempotency key is unreadable') end
  if tonumber(expires_at) > call.now then return id end
  return nil
end

local function duplicate(key, input_at, id)
  ff.discard_bytes(key .. SUFFIX.input, input_at)
  return { KIND.duplicate, id }
end

-- Whether every key that the creation writes to is what it should be, and its lane is new.
local function check_places(call, group, id)
  ff.check_ids(call, id)
  if group.delay_until ~= '' or group.deadline ~= '' then ff.timers_of(call) end
  if group.lane_is_known then return false end
  group.lane_is_known = true
  return ff.check_queue(call, group.queue)
end

function ff.decide.create_execution(call, group, execution_id, input_payload_at, input_payload, idempotency_key)
  local key = call.base .. execution_id
  local name, expires_at = nil, ''
  if idempotency_key ~= '' then
    name = call.base .. KEY.idempotency .. group.namespace .. ':' .. idempotency_key
    local first = first_of_key(call, name)
    -- A key outlives its execution only where the clock has jumped: then it names nothing.
    if first and command('EXISTS', call.base .. first) == 1 then return duplicate(key, input_payload_at, first) end
    expires_at = ff.digits(call.now + (group.rules.dedup_window_ms or LIMIT.default_dedup_window_ms))
  end
  if command('EXISTS', key) == 1 then return duplicate(key, input_payload_at, execution_id) end
  if ff.lacks_bytes(key .. SUFFIX.input, input_payload_at, input_payload) then return ff.not_staged() end
  local size = ff.count_bytes(input_payload_at, input_payload)
  local given = (group.priority == 0 and '' or group.priority) .. '\t' .. (size == 0 and '' or size) .. '\t' .. group.payload_encoding
  local new = {
    id = execution_id, key = key, life = group.life, naming = group.naming, given = given .. '\t' .. call.now_text,
    logged_given = given, input_at = input_payload_at, input = input_payload, queue = group.queue, priority = group.priority,
    lane_id = group.lane_id, situation = group.delay_until == '' and SITUATION.ready or SITUATION.delayed,
    created_at = call.now_text, due_at = group.delay_until, execution_deadline_at = group.deadline, attempt_timeout_at = '',
    delay_until = group.delay_until, needs = group.needs, rules = group.rules_text, tags = group.tags, policy = group.policy,
    has_more = group.has_more or name ~= nil or group.deadline ~= '', bounds = '',
    idempotency_key = idempotency_key, idempotency_name = name, idempotency_expires_at = expires_at,
    lane_is_new = check_places(call, group, execution_id),
  }
  if new.has_more and (group.deadline ~= '' or expires_at ~= '') then new.bounds = group.deadline .. '\t' .. expires_at end
  local public_state = group.delay_until == '' and 'waiting' or 'delayed'
  return { KIND.created, public_state, group.priority }, ff.apply.execution_created, new
end

-- find_execution: namespace, idempotency_key
-- Answers the id that a live key names, or nothing.
function ff.query.find_execution(call, namespace, idempotency_key)
  return first_of_key(call, call.base .. KEY.idempotency .. namespace .. ':' .. idempotency_key) or false
end
