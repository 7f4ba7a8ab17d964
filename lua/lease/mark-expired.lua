-- mark_lease_expired_if_due: execution_id

local FIELDS = ff.fields('dueAt', 'laneId', 'requiredCapabilities', 'attemptTimeoutAt', 'executionDeadlineAt')

function ff.operations.mark_lease_expired_if_due(call, execution_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then
    ff.forget_timer(call, execution_id)
    return ff.accept('already_satisfied', 'execution_not_found')
  end
  if not ff.is_active(execution.situation) then return ff.accept('already_satisfied', 'not_active') end
  if execution.situation == 'lease_expired' then return ff.accept('already_satisfied', 'already_expired') end
  if execution.situation == 'lease_revoked' then return ff.accept('already_satisfied', 'already_revoked') end
  if tonumber(execution.dueAt) > call.now then return ff.accept('already_satisfied', 'not_yet_expired') end

  ff.apply.lease_expired(call, execution)
  return ff.accept('marked_expired')
end
