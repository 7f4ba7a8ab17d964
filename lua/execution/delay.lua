-- delay_execution: execution_id, fence (3), attempt_index?, delay_until, source

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'attemptTimeoutAt', 'executionDeadlineAt')

function ff.operations.delay_execution(call)
  local execution_id = ff.text(call)
  local fence = ff.read_fence(call)
  local attempt_index = ff.number(call)
  local delay_until = ff.number(call)
  local source = ff.text(call)

  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, source)
  if malformed then return malformed end
  local parked_before = execution.situation == 'delayed' and execution.nextAttempt == 'resume' and tonumber(execution.dueAt) == delay_until
  if parked_before and ff.was_last_owner(execution, fence) then return ff.accept('delayed', execution_id, 'delayed') end
  local refusal = ff.ownership_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end

  ff.apply.execution_delayed(call, execution, { delay_until = delay_until, remaining_ms = ff.attempt_time_remaining(call, execution) })
  return ff.accept('delayed', execution_id, 'delayed')
end
