-- What each event of an execution does: the stored facts, the indexes, the log entry. The twins of
-- model/execution/recipes.ts; `execution` was loaded by the operation, `event` holds the facts of the event.

-- A text, or nil when it is empty.
local function text_or_nil(text)
  if text and text ~= '' then return text end
  return nil
end

-- What few executions have: facts besides those that all have, and texts.
local function write_more(execution, texts)
  local tags, policy = texts and ff.given(texts.tags), texts and texts.policy
  -- The priority is written even when it is 0: so there is always something to write.
  store('HSET', execution.key, F.priority, execution.priority, ff.present({
    F.dueAt, execution.dueAt, F.executionDeadlineAt, execution.executionDeadlineAt,
    F.requiredCapabilities, text_or_nil(execution.requiredCapabilities), F.rules, execution.rules,
    F.tagCount, tags and texts.tag_count,
  }, 10))
  if tags then ff.note(execution, D.tags, tags) end
  if policy then ff.note(execution, D.policy, policy) end
end

-- What follows are the facts that not every execution has.
local function append_creation(call, execution, payload_bytes, ...)
  ff.append(call, 'execution_created', execution.id, 'namespace', execution.namespace, 'lane_id', execution.laneId,
    'execution_kind', execution.executionKind, 'creator_identity', execution.creatorIdentity, 'priority', execution.priority,
    'payload_bytes', payload_bytes, ...)
end

-- `texts` holds policy, tags and tag_count, `idempotency` key, name and expires_at; either may be nil.
function ff.apply.execution_created(call, execution, payload_at, payload, payload_encoding, texts, idempotency)
  local key, now = execution.key, call.now
  local payload_bytes = ff.count_bytes(payload_at, payload)
  -- An empty payload is among the facts too, so that a claim need not look for it elsewhere.
  local inline = payload_bytes == 0 and '' or ff.keep_bytes(key, X.payload, payload_at, payload)
  if inline then
    store('HSET', key, F.situation, execution.situation, F.executionKind, execution.executionKind, F.payload, inline,
      F.payloadEncoding, payload_encoding, F.createdAt, now, F.laneId, execution.laneId, F.namespace, execution.namespace,
      F.creatorIdentity, execution.creatorIdentity, F.payloadBytes, payload_bytes)
  else
    store('HSET', key, F.situation, execution.situation, F.executionKind, execution.executionKind,
      F.payloadEncoding, payload_encoding, F.createdAt, now, F.laneId, execution.laneId, F.namespace, execution.namespace,
      F.creatorIdentity, execution.creatorIdentity, F.payloadBytes, payload_bytes)
  end
  local has_more = texts or idempotency or execution.priority ~= 0 or execution.dueAt or execution.executionDeadlineAt
  if has_more then write_more(execution, texts) end
  if idempotency then
    ff.remember(idempotency.name, ff.digits(idempotency.expires_at) .. ' ' .. execution.id, idempotency.expires_at)
  end

  if execution.dueAt then
    store('SADD', call.base .. K.lanes, execution.laneId)
  else
    ff.enqueue_ready(call, execution)
  end
  if execution.dueAt or execution.executionDeadlineAt then ff.announce_timer(call, execution) end
  if has_more then
    append_creation(call, execution, payload_bytes, ff.present({
      'payload_encoding', text_or_nil(payload_encoding), 'required_capabilities', text_or_nil(execution.requiredCapabilities),
      'tags', texts and text_or_nil(texts.tags), 'policy', texts and texts.policy,
      'delay_until', execution.dueAt, 'execution_deadline_at', execution.executionDeadlineAt,
      'idempotency_key', idempotency and idempotency.key, 'idempotency_expires_at', idempotency and idempotency.expires_at,
    }, 16))
  elseif payload_encoding ~= '' then
    append_creation(call, execution, payload_bytes, 'payload_encoding', payload_encoding)
  else
    append_creation(call, execution, payload_bytes)
  end
end

function ff.apply.progress_updated(call, execution, event)
  local change = ff.change(execution)
  if event.progress_pct then ff.set(change, 'progressPct', event.progress_pct) end
  if event.progress_message then ff.note(execution, D.progressMessage, event.progress_message) end
  ff.set(change, 'progressUpdatedAt', call.now)
  ff.write(change)
  ff.append(call, 'progress_updated', execution.id,
    ff.present({ 'progress_pct', event.progress_pct, 'progress_message', event.progress_message }, 4))
end

function ff.apply.execution_completed(call, execution, result_at, result, result_encoding, failed_before)
  local key = execution.key
  local purge_at = ff.purge_at(call, execution)
  -- The same as `ff.finish`, in one piece: only a running execution completes, and nothing else is done as often.
  if failed_before then
    store('HSET', key, F.failureCategory, '')
    ff.forget(execution, D.failureReason)
  end
  local encoding = text_or_nil(result_encoding)
  local has_result = ff.has_bytes(result_at)
  if has_result or encoding then
    local result_bytes = has_result and ff.count_bytes(result_at, result) or nil
    local inline = has_result and ff.keep_bytes(key, X.result, result_at, result) or nil
    store('HSET', key, ff.present({ F.resultBytes, result_bytes, F.resultEncoding, encoding, F.result, inline }, 6))
    ff.end_running(call, execution, 'completed', purge_at)
    ff.append(call, 'execution_completed', execution.id, 'purge_at', purge_at,
      ff.present({ 'result_bytes', result_bytes, 'result_encoding', encoding }, 4))
    return
  end
  ff.end_running(call, execution, 'completed', purge_at)
  ff.append(call, 'execution_completed', execution.id, 'purge_at', purge_at)
end

function ff.apply.retry_scheduled(call, execution, event)
  local change = ff.change(execution)
  -- A lapsed attempt that times out stands in the queue, to be reclaimed.
  if ff.is_claimable(execution.situation) then ff.dequeue(call, execution) end
  ff.release_lease(change)
  ff.become(call, change, 'retry_backoff', event.delay_until)
  ff.set(change, 'nextAttempt', 'retry')
  ff.set(change, 'retryCount', ff.count(execution.retryCount) + 1)
  ff.set(change, 'failureCategory', event.failure_category)
  ff.note(execution, D.failureReason, event.failure_reason)
  ff.write(change)
  ff.announce_timer(call, execution)
  ff.append(call, 'retry_scheduled', execution.id, 'failure_reason', event.failure_reason,
    'failure_category', event.failure_category, 'delay_until', event.delay_until)
end

function ff.apply.execution_failed(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'failed', event.purge_at)
  ff.set(change, 'failureCategory', event.failure_category)
  ff.note(execution, D.failureReason, event.failure_reason)
  ff.write(change)
  ff.append(call, 'execution_failed', execution.id, 'failure_reason', event.failure_reason,
    'failure_category', event.failure_category, 'purge_at', event.purge_at)
end

function ff.apply.execution_cancelled(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'cancelled', event.purge_at)
  ff.set(change, 'cancelledBy', event.cancelled_by)
  ff.note(execution, D.cancellationReason, event.cancellation_reason)
  ff.write(change)
  ff.append(call, 'execution_cancelled', execution.id, 'cancellation_reason', event.cancellation_reason,
    'cancelled_by', event.cancelled_by, 'purge_at', event.purge_at)
end

function ff.apply.execution_expired(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'expired', event.purge_at)
  ff.set(change, 'failureCategory', 'timeout')
  ff.note(execution, D.failureReason, event.expire_reason)
  ff.write(change)
  ff.append(call, 'execution_expired', execution.id, 'expire_reason', event.expire_reason, 'purge_at', event.purge_at)
end

function ff.apply.execution_delayed(call, execution, event)
  local change = ff.change(execution)
  ff.release_lease(change)
  ff.become(call, change, 'delayed', event.delay_until)
  ff.set(change, 'nextAttempt', 'resume')
  if event.remaining_ms then ff.set(change, 'attemptTimeoutRemainingMs', event.remaining_ms) end
  ff.write(change)
  ff.announce_timer(call, execution)
  ff.append(call, 'execution_delayed', execution.id,
    'delay_until', event.delay_until, ff.present({ 'attempt_timeout_remaining_ms', event.remaining_ms }, 2))
end

function ff.apply.execution_promoted(call, execution)
  local change = ff.change(execution)
  ff.become(call, change, 'ready', nil)
  ff.write(change)
  execution.dueAt = nil
  ff.enqueue_ready(call, execution)
  ff.set_timer(call, execution)
  ff.append(call, 'execution_promoted', execution.id)
end

function ff.apply.execution_purged(call, execution)
  local key = execution.key
  local slot = call.base .. K.slot .. execution.dueAt
  store('LREM', slot, 1, execution.uuid)
  if store('EXISTS', slot) == 0 then store('ZREM', call.base .. K.timers, K.slotTimer .. execution.dueAt) end
  store('ZREM', call.base .. K.ids, execution.uuid)
  store('DEL', key, key .. X.details, key .. X.payload, key .. X.result)
  ff.append(call, 'execution_purged', execution.id)
end
