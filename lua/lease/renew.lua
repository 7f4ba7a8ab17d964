-- renew_lease: see model/lease/renew.ts

local load = ff.loader('bounds', 'fence', 'timing')

function ff.prepare.renew_lease(_, lease_ttl_ms, attempt_index)
  return { lease_ttl_ms = tonumber(lease_ttl_ms), attempt_index = attempt_index }
end

function ff.decide.renew_lease(call, group, execution_id, fence)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(fence, '', execution) or ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  ff.timers_of(call)
  -- A renewal never shortens a lease.
  local expires_at = ff.digits(math.max(ff.time(execution.due_at), call.now + group.lease_ttl_ms))
  return ANSWER.renewed .. expires_at, ff.apply.lease_renewed, execution, expires_at
end
