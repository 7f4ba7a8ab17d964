-- revoke_lease: execution_id, expected_lease_id?, reason

local FIELDS = ff.fields('dueAt', 'laneId', 'requiredCapabilities', 'attemptTimeoutAt', 'executionDeadlineAt', 'currentLeaseId',
  'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount')

function ff.operations.revoke_lease(call, execution_id, expected_lease_id, reason)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  if not ff.is_active(execution.situation) then return ff.not_active(execution) end
  if execution.situation == 'lease_revoked' then return ff.accept('already_satisfied', 'already_revoked') end
  if execution.situation == 'lease_expired' then return ff.accept('already_satisfied', 'already_expired') end
  local expected = ff.given(expected_lease_id)
  if expected and expected ~= execution.currentLeaseId then return ff.reject('stale_lease') end

  ff.apply.lease_revoked(call, execution, { reason = reason or '' })
  return ff.accept('revoked', execution.currentLeaseId, execution.currentLeaseEpoch)
end
