-- create_execution: execution_id, namespace, lane_id, execution_kind, payload, payload_encoding?, priority?,
-- creator_identity, idempotency_key?, tags (marked by their count, JSON), policy (marked: JSON, rules, required
-- capabilities, priority?, delay_until?), delay_until?, execution_deadline_at?

-- The execution that a live idempotency key points to.
local function idempotent(call, key_name)
  local entry = store('GET', key_name)
  if not entry then return nil end
  local expires_at, execution_id = string.match(entry, '^(%d+) (.*)$')
  if tonumber(expires_at) > call.now then return execution_id end
  return nil
end

-- The end of an execution's time by its rules: below the bound a duration, else a time.
local function deadline_of(call, rules)
  local deadline_ms = rules.deadline_ms
  if not deadline_ms or deadline_ms >= L.absoluteTimeFrom then return deadline_ms end
  return math.min(call.now + deadline_ms, L.maxInteger)
end

-- What the policy says, into the execution and the event. Answers its rules.
local function read_policy(call, execution, event)
  local policy = ff.marked(call)
  if not policy then return ff.rules(nil) end
  local rules_text, required_capabilities, priority, delay_until = ff.take(call, 4)
  event.policy = policy
  execution.rules = rules_text
  execution.requiredCapabilities = required_capabilities
  if execution.priority == '' then execution.priority = priority end
  execution.dueAt = tonumber(delay_until)
  return ff.rules(rules_text)
end

function ff.operations.create_execution(call)
  local execution_id, namespace, lane_id, execution_kind, payload, payload_encoding, priority, creator_identity,
    idempotency_key = ff.take(call, 9)
  local uuid = ff.uuid(execution_id)
  local execution = {
    id = execution_id, uuid = uuid, key = call.base .. uuid, namespace = namespace, laneId = lane_id,
    executionKind = execution_kind, creatorIdentity = creator_identity, createdAt = call.now, priority = priority,
    requiredCapabilities = '', rules = nil, dueAt = nil, executionDeadlineAt = nil,
  }
  local event = {
    payload = payload, payload_encoding = payload_encoding, policy = nil, tags = nil, tag_count = nil,
    idempotency_key = nil, idempotency_key_name = nil, idempotency_expires_at = nil,
  }
  event.tags, event.tag_count = ff.marked(call)
  local rules = read_policy(call, execution, event)
  local delay_until, deadline_at = ff.take(call, 2)

  if idempotency_key ~= '' then
    event.idempotency_key = idempotency_key
    event.idempotency_key_name = call.base .. K.idempotency .. namespace .. ':' .. idempotency_key
    event.idempotency_expires_at = call.now + (rules.dedup_window_ms or L.defaultDedupWindowMs)
    local first = idempotent(call, event.idempotency_key_name)
    if first then return ff.accept('duplicate', first) end
  end
  local due_at = tonumber(delay_until) or execution.dueAt
  execution.dueAt = due_at and due_at > call.now and due_at or nil
  if execution.priority == '' then execution.priority = L.defaultPriority end
  execution.executionDeadlineAt = tonumber(deadline_at) or deadline_of(call, rules)
  -- The index of all ids is where existence is tested and taken in one step: nothing after this can fail.
  if store('ZADD', call.base .. K.ids, 0, uuid) == 0 then return ff.accept('duplicate', execution_id) end
  ff.apply.execution_created(call, execution, event)
  return ff.accept('created', execution_id, execution.dueAt and 'delayed' or 'waiting', execution.priority)
end
