-- create_pending_waitpoint: see model/suspension/create-pending.ts

local load = ff.loader('bounds', 'fence', 'timing', 'grant')

function ff.decide.create_pending_waitpoint(call, execution_id, fence, attempt_index, waitpoint_id, waitpoint_key, expires_in_ms,
  max_waitpoints_per_execution)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(fence, '', execution) or ff.work_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end
  local kept = ff.kept_of(execution)
  local known = ff.has_waited(execution) and ff.waitpoint_of(execution, waitpoint_id)
  if known and (known.waitpoint_state ~= WAITPOINT_STATE.pending or known.waitpoint_key ~= waitpoint_key) then
    return ff.reject('waitpoint_already_exists', 'waitpointId', waitpoint_id)
  end
  if not known and #kept.pending >= LIMIT.max_pending_waitpoints then
    return ff.reject('waitpoint_limit_exceeded', 'limit', 'pending')
  end
  if not known and kept.count >= tonumber(max_waitpoints_per_execution) then
    return ff.reject('waitpoint_limit_exceeded', 'limit', 'execution')
  end
  local token = ff.current_token(call,
    known or { id = waitpoint_id, waitpoint_key = waitpoint_key, created_at = call.now_text })
  if not token then return ff.reject('hmac_secret_not_initialized') end
  if known then return { KIND.created, known.expires_at, token } end
  ff.timers_of(call)
  local expires_at = ff.digits(call.now + tonumber(expires_in_ms))
  return { KIND.created, expires_at, token }, ff.apply.pending_waitpoint_created, execution, kept, waitpoint_id,
    waitpoint_key, expires_at
end
