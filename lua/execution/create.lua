-- create_execution: execution_id, namespace, lane_id, execution_kind, creator_identity, payload (2),
-- payload_encoding?, priority?, idempotency_key?, delay_until?, execution_deadline_at?, tag_count?, tags? (JSON), policy? (JSON; then its
-- rules, required capabilities, priority? and delay_until?)

-- The execution that a live idempotency key points to.
local function idempotent(call, key_name)
  local entry = store('GET', key_name)
  if not entry then return nil end
  local expires_at, execution_id = string.match(entry, '^(%d+) (.*)$')
  if tonumber(expires_at) > call.now then return execution_id end
  return nil
end

-- find_execution: namespace, idempotency_key
-- Answers the execution id that the key names, or nothing.
function ff.queries.find_execution(call, namespace, idempotency_key)
  return idempotent(call, call.base .. K.idempotency .. namespace .. ':' .. idempotency_key)
end

-- The end of an execution's time by its rules: below the bound a duration, else a time.
local function deadline_of(call, rules)
  local deadline_ms = rules.deadline_ms
  if not deadline_ms or deadline_ms >= L.absoluteTimeFrom then return deadline_ms end
  return math.min(call.now + deadline_ms, L.maxInteger)
end

-- A key of the creator's, where it is kept and until when.
local function key_of(call, namespace, idempotency_key, rules)
  return {
    key = idempotency_key,
    name = call.base .. K.idempotency .. namespace .. ':' .. idempotency_key,
    expires_at = call.now + (rules.dedup_window_ms or L.defaultDedupWindowMs),
  }
end

function ff.operations.create_execution(call, execution_id, namespace, lane_id, execution_kind, creator_identity, payload_at, payload,
    payload_encoding, priority, idempotency_key, delay_until, deadline_at, tag_count, tags, policy, rules_text,
    required_capabilities, policy_priority, policy_delay_until)
  local uuid = ff.uuid(execution_id)
  local key = call.base .. uuid
  local rules = ff.rules(rules_text)
  local idempotency
  if idempotency_key and idempotency_key ~= '' then
    idempotency = key_of(call, namespace, idempotency_key, rules)
    local first = idempotent(call, idempotency.name)
    if first then
      ff.discard_bytes(key, X.payload, payload_at)
      return ff.accept('duplicate', first)
    end
  end
  if ff.lacks_bytes(key, X.payload, payload_at, payload) then return ff.not_staged() end
  local due_at = tonumber(delay_until) or tonumber(policy_delay_until)
  if due_at and due_at <= call.now then due_at = nil end
  local execution = {
    id = execution_id, uuid = uuid, key = key, situation = due_at and 'delayed' or 'ready',
    namespace = namespace, laneId = lane_id, executionKind = execution_kind, creatorIdentity = creator_identity,
    createdAt = call.now, priority = tonumber(priority) or tonumber(policy_priority) or L.defaultPriority,
    requiredCapabilities = required_capabilities or '', rules = rules_text, dueAt = due_at,
    executionDeadlineAt = tonumber(deadline_at) or deadline_of(call, rules),
  }
  -- The index of all ids is where existence is tested and taken in one step: nothing after this can fail.
  if store('ZADD', call.base .. K.ids, 0, uuid) == 0 then
    ff.discard_bytes(key, X.payload, payload_at)
    return ff.accept('duplicate', execution_id)
  end
  local texts = (policy or tags) and { policy = policy, tags = tags, tag_count = tag_count }
  ff.apply.execution_created(call, execution, payload_at, payload, payload_encoding or '', texts, idempotency)
  return ff.accept('created', execution_id, due_at and 'delayed' or 'waiting', execution.priority)
end
