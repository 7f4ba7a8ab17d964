-- cancel_execution: execution_id, reason, source, lease_id?, lease_epoch?, attempt_id?

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'attemptTimeoutRemainingMs', 'rules', 'laneId', 'requiredCapabilities')

function ff.operations.cancel_execution(call, execution_id, reason, source, lease_id, lease_epoch, attempt_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local operator = source == 'operator_override'
  local malformed = not operator and ff.fence_shape(source, lease_id, lease_epoch, attempt_id)
  if malformed then return malformed end
  local last_owner = ff.was_last_owner(execution, lease_epoch, attempt_id)
  if ff.is_terminal(execution.situation) then
    if execution.situation == 'cancelled' and last_owner then return ff.accept('cancelled', execution_id) end
    return ff.not_active(execution)
  end
  if not operator then
    if execution.situation == 'lease_revoked' then return ff.reject('lease_revoked') end
    -- A lapsed lease does not matter as long as nobody has taken over: giving up is the fast way out.
    local owner = last_owner
    if ff.is_active(execution.situation) then owner = ff.holds_lease(execution, lease_id, lease_epoch, attempt_id) end
    if not owner then return ff.reject('stale_lease') end
  end

  ff.apply.execution_cancelled(call, execution,
    { cancellation_reason = reason, cancelled_by = source, purge_at = ff.purge_at(call, execution) })
  return ff.accept('cancelled', execution_id)
end
