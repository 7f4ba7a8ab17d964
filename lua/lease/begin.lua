-- begin_attempt: see model/lease/begin.ts

local load = ff.loader('bounds', 'fence', 'timing')

function ff.decide.begin_attempt(call, execution_id, fence)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(fence, '', execution) or ff.work_verdict(call, execution, fence, '')
  if refusal then return refusal end
  ff.read_timing(execution)
  local remaining_ms = ff.time(execution.attempt_timeout_remaining_ms)
  if not remaining_ms then return ANSWER.begun .. execution.attempt_timeout_at end
  ff.timers_of(call)
  local timeout_at = ff.digits(math.min(call.now + remaining_ms, LIMIT.max_integer))
  return ANSWER.begun .. timeout_at, ff.apply.attempt_begun, execution, timeout_at
end
