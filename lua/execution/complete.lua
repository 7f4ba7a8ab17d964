-- complete_execution: execution_id, fence (3), attempt_index?, result? (present, bytes), result_encoding?, source

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'leaseLastRenewedAt', 'attemptTimeoutAt', 'rules', 'failureCategory')

function ff.operations.complete_execution(call)
  local execution_id = ff.text(call)
  local fence = ff.read_fence(call)
  local attempt_index = ff.number(call)
  local result = ff.optional_bytes(call)
  local result_encoding = ff.optional(call)
  local source = ff.text(call)

  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, source)
  if malformed then return malformed end
  if execution.situation == 'completed' and ff.was_last_owner(execution, fence) then
    return ff.accept('completed', execution_id, 'completed')
  end
  local refusal = ff.ownership_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end

  ff.apply.execution_completed(call, execution,
    { result = result, result_encoding = result_encoding, purge_at = ff.purge_at(call, execution) })
  return ff.accept('completed', execution_id, 'completed')
end
