-- mark_lease_expired_if_due: see model/lease/mark-expired.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'retries', 'streams')

function ff.decide.mark_lease_expired_if_due(call, execution_id)
  local execution = load(call, execution_id)
  if not execution then return { KIND.already_satisfied, 'execution_not_found' } end
  if not ff.is_active(execution.situation) then return { KIND.already_satisfied, 'not_active' } end
  if execution.situation == SITUATION.lease_expired then return { KIND.already_satisfied, 'already_expired' } end
  if execution.situation == SITUATION.lease_revoked then return { KIND.already_satisfied, 'already_revoked' } end
  if not ff.has_passed(call, execution.due_at) then return { KIND.already_satisfied, 'not_yet_expired' } end
  ff.check_queue_of(call, execution)
  ff.check_stream(call, execution)
  return KIND.marked_expired, ff.apply.lease_expired, execution
end
