-- fail_execution: execution_id, fence (3), attempt_index?, failure_reason, failure_category?, failure_class, jitter?,
-- retry_after_ms?, source

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'rules', 'retryCount', 'executionDeadlineAt', 'lastTransitionAt')

-- What this very call answered when it ran before, if it did.
local function earlier_outcome(execution, fence)
  if not ff.was_last_owner(execution, fence) then return nil end
  if execution.situation == 'failed' then return ff.accept('terminal_failed') end
  if ff.is_runnable(execution.situation) and execution.nextAttempt == 'retry' then
    return ff.accept('retry_scheduled', execution.dueAt or execution.lastTransitionAt, execution.totalAttemptCount)
  end
  return nil
end

function ff.operations.fail_execution(call)
  local execution_id = ff.text(call)
  local fence = ff.read_fence(call)
  local attempt_index = ff.number(call)
  local failure = { reason = ff.text(call), category = ff.optional(call), class = ff.text(call) }
  failure.jitter = ff.number(call)
  failure.retry_after_ms = ff.number(call)
  failure.category = failure.category or failure.class
  local source = ff.text(call)

  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, source)
  if malformed then return malformed end
  local earlier = earlier_outcome(execution, fence)
  if earlier then return earlier end
  local refusal = ff.ownership_verdict(call, execution, fence, attempt_index)
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
