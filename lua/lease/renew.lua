-- renew_lease: execution_id, attempt_index?, lease_id?, lease_epoch?, attempt_id?, lease_ttl_ms

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt',
  'attemptTimeoutAt', 'executionDeadlineAt')

function ff.operations.renew_lease(call, execution_id, attempt_index, lease_id, lease_epoch, attempt_id, lease_ttl_ms)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(nil, lease_id, lease_epoch, attempt_id)
    or ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end

  -- A renewal never shortens a lease.
  local expires_at = math.max(tonumber(execution.dueAt), call.now + lease_ttl_ms)
  ff.apply.lease_renewed(call, execution, { lease_expires_at = expires_at })
  return ff.accept('renewed', expires_at)
end
