-- release_lease: see model/lease/release.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries', 'rules', 'wait')

function ff.prepare.release_lease(_, attempt_index)
  return { attempt_index = attempt_index }
end

function ff.decide.release_lease(call, group, execution_id, fence)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, '', execution)
  if malformed then return malformed end
  if ff.has_returned(execution) and ff.was_last_owner(execution, fence) then return KIND.released end
  local refusal = ff.ownership_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  ff.read_retries(execution)
  local cap = ff.rules(execution.rules).max_release_count or LIMIT.default_max_release_count
  if ff.count(execution.lease_release_count) >= cap then return ff.reject('max_releases_exceeded') end
  ff.check_queue_of(call, execution)
  return KIND.released, ff.apply.lease_released, execution, ff.remaining_at(call, execution)
end
