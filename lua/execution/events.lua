-- What each event of an execution does: the stored facts, the indexes, the log entry. The twins of
-- model/execution/recipes.ts; `execution` was loaded by the operation, `event` holds the facts of the event.

local apply = ff.apply

function apply.execution_created(call, execution, event)
  local key = execution.key
  local delayed = event.delay_until ~= nil
  execution.situation = delayed and 'delayed' or 'ready'
  execution.dueAt = event.delay_until
  execution.createdAt = call.now

  local fields = {
    'HSET', key, F.situation, execution.situation, F.namespace, event.namespace, F.laneId, event.lane_id, F.executionKind,
    event.execution_kind, F.creatorIdentity, event.creator_identity, F.createdAt, call.now, F.lastTransitionAt, call.now,
  }
  local size = 16
  local function put(name, value)
    if value and value ~= '' and value ~= '0' then
      fields[size + 1] = F[name]
      fields[size + 2] = value
      size = size + 2
    end
  end
  put('priority', execution.priority)
  put('dueAt', event.delay_until)
  put('executionDeadlineAt', execution.executionDeadlineAt)
  put('requiredCapabilities', execution.requiredCapabilities)
  put('rules', execution.rules)
  put('tagCount', event.tag_count)
  put('payloadBytes', event.payload_bytes)
  put('payloadEncoding', event.payload_encoding)
  server.call(unpack(fields, 1, size))
  if event.payload_bytes ~= '0' then server.call('SET', key .. X.payload, event.payload) end
  if event.tag_count ~= '0' then ff.note(execution, D.tags, event.tags) end
  if event.policy then ff.note(execution, D.policy, event.policy) end
  if event.idempotency_key then
    ff.remember(event.idempotency_key_name, ff.digits(event.idempotency_expires_at) .. ' ' .. execution.id, event.idempotency_expires_at)
  end

  if delayed or ff.enqueue_ready(call, execution) then server.call('SADD', call.base .. K.lanes, event.lane_id) end
  if delayed or execution.executionDeadlineAt then ff.announce_timer(call, execution) end
  ff.append(call, 'execution_created', execution.id, {
    'namespace', event.namespace, 'lane_id', event.lane_id, 'execution_kind', event.execution_kind,
    'creator_identity', event.creator_identity, 'priority', execution.priority,
    'required_capabilities', execution.requiredCapabilities, 'tags', event.tag_count ~= '0' and event.tags or nil,
    'policy', event.policy, 'payload_bytes', event.payload_bytes, 'payload_encoding', event.payload_encoding,
    'delay_until', event.delay_until, 'execution_deadline_at', execution.executionDeadlineAt,
    'idempotency_key', event.idempotency_key, 'idempotency_expires_at', event.idempotency_expires_at,
  }, 28)
end

function apply.progress_updated(call, execution, event)
  local change = ff.change(execution)
  if event.progress_pct then ff.set(change, 'progressPct', event.progress_pct) end
  if event.progress_message then ff.note(execution, D.progressMessage, event.progress_message) end
  ff.set(change, 'progressUpdatedAt', call.now)
  ff.write(change)
  ff.append(call, 'progress_updated', execution.id,
    { 'progress_pct', event.progress_pct, 'progress_message', event.progress_message }, 4)
end

function apply.execution_completed(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'completed', event.purge_at)
  if execution.failureCategory then
    ff.clear(change, 'failureCategory')
    ff.forget(execution, D.failureReason)
  end
  local result_bytes
  if event.result then
    result_bytes = #event.result
    ff.set(change, 'resultBytes', result_bytes)
    server.call('SET', execution.key .. X.result, event.result)
  end
  if event.result_encoding then ff.set(change, 'resultEncoding', event.result_encoding) end
  ff.write(change)
  ff.append(call, 'execution_completed', execution.id,
    { 'result_bytes', result_bytes, 'result_encoding', event.result_encoding, 'purge_at', event.purge_at }, 6)
end

function apply.retry_scheduled(call, execution, event)
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
  ff.append(call, 'retry_scheduled', execution.id, {
    'failure_reason', event.failure_reason, 'failure_category', event.failure_category, 'delay_until', event.delay_until,
  }, 6)
end

function apply.execution_failed(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'failed', event.purge_at)
  ff.set(change, 'failureCategory', event.failure_category)
  ff.note(execution, D.failureReason, event.failure_reason)
  ff.write(change)
  ff.append(call, 'execution_failed', execution.id, {
    'failure_reason', event.failure_reason, 'failure_category', event.failure_category, 'purge_at', event.purge_at,
  }, 6)
end

function apply.execution_cancelled(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'cancelled', event.purge_at)
  ff.set(change, 'cancelledBy', event.cancelled_by)
  ff.note(execution, D.cancellationReason, event.cancellation_reason)
  ff.write(change)
  ff.append(call, 'execution_cancelled', execution.id, {
    'cancellation_reason', event.cancellation_reason, 'cancelled_by', event.cancelled_by, 'purge_at', event.purge_at,
  }, 6)
end

function apply.execution_expired(call, execution, event)
  local change = ff.change(execution)
  ff.finish(call, change, 'expired', event.purge_at)
  ff.set(change, 'failureCategory', 'timeout')
  ff.note(execution, D.failureReason, event.expire_reason)
  ff.write(change)
  ff.append(call, 'execution_expired', execution.id,
    { 'expire_reason', event.expire_reason, 'purge_at', event.purge_at }, 4)
end

function apply.execution_delayed(call, execution, event)
  local change = ff.change(execution)
  ff.release_lease(change)
  ff.become(call, change, 'delayed', event.delay_until)
  ff.set(change, 'nextAttempt', 'resume')
  if event.remaining_ms then ff.set(change, 'attemptTimeoutRemainingMs', event.remaining_ms) end
  ff.write(change)
  ff.announce_timer(call, execution)
  ff.append(call, 'execution_delayed', execution.id,
    { 'delay_until', event.delay_until, 'attempt_timeout_remaining_ms', event.remaining_ms }, 4)
end

function apply.execution_promoted(call, execution)
  local change = ff.change(execution)
  ff.become(call, change, 'ready', nil)
  ff.write(change)
  execution.dueAt = nil
  ff.enqueue_ready(call, execution)
  ff.set_timer(call, execution)
  ff.append(call, 'execution_promoted', execution.id, {}, 0)
end

function apply.execution_purged(call, execution)
  local key = execution.key
  local slot = call.base .. K.slot .. execution.dueAt
  server.call('LREM', slot, 1, execution.id)
  if server.call('EXISTS', slot) == 0 then server.call('ZREM', call.base .. K.timers, K.slotTimer .. execution.dueAt) end
  server.call('ZREM', call.base .. K.ids, execution.id)
  server.call('DEL', key, key .. X.details, key .. X.payload, key .. X.result)
  ff.append(call, 'execution_purged', execution.id, {}, 0)
end
