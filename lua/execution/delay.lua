-- delay_execution: execution_id, lease_id?, lease_epoch?, attempt_id?, attempt_index?, delay_until, source

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'attemptTimeoutAt', 'executionDeadlineAt')

function ff.operations.delay_execution(call, execution_id, lease_id, lease_epoch, attempt_id, attempt_index, delay_until_text, source)
  local delay_until = tonumber(delay_until_text)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(source, lease_id, lease_epoch, attempt_id)
  if malformed then return malformed end
  local parked_before = execution.situation == 'delayed' and execution.nextAttempt == 'resume' and tonumber(execution.dueAt) == delay_until
  if parked_before and ff.was_last_owner(execution, lease_epoch, attempt_id) then return ff.accept('delayed', execution_id) end
  local refusal = ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end

  ff.apply.execution_delayed(call, execution, { delay_until = delay_until, remaining_ms = ff.attempt_time_remaining(call, execution) })
  return ff.accept('delayed', execution_id)
end
