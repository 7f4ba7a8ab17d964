-- cancel_execution: see model/execution/cancel.ts

local load = ff.loader('naming', 'bounds', 'needs', 'fence', 'timing', 'rules', 'wait', 'streams')

function ff.prepare.cancel_execution(_, source)
  return { source = source }
end

function ff.decide.cancel_execution(call, group, execution_id, fence, reason)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local operator = group.source ~= 'lease_holder'
  local malformed = not operator and ff.fence_shape(fence, group.source, execution)
  if malformed then return malformed end
  local last_owner = ff.was_last_owner(execution, fence)
  if ff.is_terminal(execution.situation) then
    if execution.situation == SITUATION.cancelled and last_owner then return KIND.cancelled end
    return ff.not_active(execution)
  end
  if not operator then
    if execution.situation == SITUATION.lease_revoked then return ff.reject('lease_revoked') end
    -- A lapsed lease does not matter until another worker takes over: giving up is the fast way out.
    local owner = last_owner
    if ff.is_active(execution.situation) then owner = ff.holds_lease(execution, fence) end
    if not owner then return ff.reject('stale_lease') end
  end
  local purge_at, purge_text = ff.check_ending(call, execution)
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return KIND.cancelled, ff.apply.execution_cancelled, execution, group.source, reason, purge_at, purge_text
end
