-- close_waitpoint: see model/suspension/close-waitpoint.ts

local load = ff.loader('bounds', 'fence', 'timing', 'grant')

function ff.decide.close_waitpoint(call, execution_id, fence, attempt_index, waitpoint_id, reason)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, '', execution)
  if malformed then return malformed end
  local waitpoint = ff.has_waited(execution) and ff.waitpoint_of(execution, waitpoint_id)
  if not waitpoint then return ff.reject('waitpoint_not_found') end
  if waitpoint.closed_at ~= '' then return { KIND.already_satisfied, 'already_closed' } end
  if waitpoint.waitpoint_state ~= WAITPOINT_STATE.pending then return ff.reject('waitpoint_not_pending') end
  local refusal = ff.ownership_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end
  ff.timers_of(call)
  return KIND.closed, ff.apply.pending_waitpoint_closed, execution, ff.kept_of(execution), waitpoint, reason
end
