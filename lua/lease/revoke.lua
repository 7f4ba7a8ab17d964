-- revoke_lease: see model/lease/revoke.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries')

function ff.decide.revoke_lease(call, execution_id, expected_lease_id, reason)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if not ff.is_active(execution.situation) then return ff.not_active(execution) end
  if execution.situation == SITUATION.lease_revoked then return { KIND.already_satisfied, 'already_revoked' } end
  if execution.situation == SITUATION.lease_expired then return { KIND.already_satisfied, 'already_expired' } end
  local epoch, lease = string.match(execution.fence, '^(%d+)\t([^\t]*)\t')
  if not lease then ff.damaged('the fence is unreadable') end
  if expected_lease_id ~= '' and expected_lease_id ~= lease then return ff.reject('stale_lease') end
  ff.check_queue_of(call, execution)
  return { KIND.revoked, lease, epoch }, ff.apply.lease_revoked, execution, reason
end
