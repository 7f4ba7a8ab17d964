-- fail_execution: execution_id, lease_id?, lease_epoch?, attempt_id?, attempt_index?, failure_reason, failure_category?,
-- failure_class, jitter?, retry_after_ms?, source

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'rules', 'retryCount', 'executionDeadlineAt', 'lastTransitionAt')

-- What this very call answered when it ran before, if it did.
local function earlier_outcome(execution, lease_epoch, attempt_id)
  if not ff.was_last_owner(execution, lease_epoch, attempt_id) then return nil end
  if execution.situation == 'failed' then return ff.accept('terminal_failed') end
  if ff.is_runnable(execution.situation) and execution.nextAttempt == 'retry' then
    return ff.accept('retry_scheduled', execution.dueAt or execution.lastTransitionAt, execution.totalAttemptCount)
  end
  return nil
end

function ff.operations.fail_execution(call, execution_id, lease_id, lease_epoch, attempt_id, attempt_index, reason,
    category, class, jitter, retry_after_ms, source)
  local failure = {
    reason = reason, category = ff.given(category) or class, class = class, jitter = tonumber(jitter),
    retry_after_ms = tonumber(retry_after_ms),
  }
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(source, lease_id, lease_epoch, attempt_id)
  if malformed then return malformed end
  local earlier = earlier_outcome(execution, lease_epoch, attempt_id)
  if earlier then return earlier end
  local refusal = ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end

  local event = { failure_reason = failure.reason, failure_category = failure.category }
  event.delay_until = ff.next_try_at(call, execution, failure)
  if event.delay_until then
    ff.apply.retry_scheduled(call, execution, event)
    return ff.accept('retry_scheduled', event.delay_until, execution.totalAttemptCount)
  end
  event.purge_at = ff.purge_at(call, execution)
  ff.apply.execution_failed(call, execution, event)
  return ff.accept('terminal_failed')
end
