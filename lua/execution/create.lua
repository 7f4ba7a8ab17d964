-- create_execution: execution_id, namespace, lane_id, execution_kind, payload, payload_encoding?, priority?,
-- creator_identity, idempotency_key?, tags (count, JSON), policy? (JSON, rules, required capabilities, priority?,
-- delay_until?), delay_until?, execution_deadline_at?

-- The execution that a live idempotency key points to.
local function idempotent(call, key_name)
  local entry = server.call('GET', key_name)
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

function ff.operations.create_execution(call)
  local execution_id = ff.text(call)
  local event = {
    namespace = ff.text(call),
    lane_id = ff.text(call),
    execution_kind = ff.text(call),
    payload = ff.text(call),
    payload_encoding = ff.optional(call),
  }
  local priority = ff.optional(call)
  event.creator_identity = ff.text(call)
  event.idempotency_key = ff.optional(call)
  event.tag_count = ff.text(call)
  event.tags = ff.text(call)
  event.policy = ff.optional(call)
  local rules_text = ff.optional(call)
  local required_capabilities = ff.text(call)
  local policy_priority = ff.optional(call)
  local policy_delay_until = ff.number(call)
  local delay_until = ff.number(call) or policy_delay_until
  local deadline_at = ff.number(call)

  if event.idempotency_key then
    event.idempotency_key_name = call.base .. K.idempotency .. event.namespace .. ':' .. event.idempotency_key
    local first = idempotent(call, event.idempotency_key_name)
    if first then return ff.accept('duplicate', first) end
  end
  local rules = ff.rules(rules_text)
  if delay_until and delay_until > call.now then event.delay_until = delay_until end
  if event.idempotency_key then event.idempotency_expires_at = call.now + (rules.dedup_window_ms or L.defaultDedupWindowMs) end
  event.payload_bytes = tostring(#event.payload)
  local execution = {
    id = execution_id,
    key = ff.core_key(call, execution_id),
    laneId = event.lane_id,
    priority = priority or policy_priority or tostring(L.defaultPriority),
    requiredCapabilities = required_capabilities,
    rules = rules_text,
    executionDeadlineAt = deadline_at or deadline_of(call, rules),
  }
  -- The index of all ids is where existence is tested and taken in one step: nothing after this can fail.
  if server.call('ZADD', call.base .. K.ids, 0, execution_id) == 0 then return ff.accept('duplicate', execution_id) end
  ff.apply.execution_created(call, execution, event)
  return ff.accept('created', execution_id, event.delay_until and 'delayed' or 'waiting', execution.priority)
end
