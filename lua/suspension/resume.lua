-- resume_execution: see model/suspension/resume.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'wait')

function ff.decide.resume_execution(call, execution_id, resume_delay_ms)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if execution.situation ~= SITUATION.suspended then return ff.reject('execution_not_suspended') end
  local suspension = ff.check_suspension(execution)
  ff.check_queue_of(call, execution)
  local delay_ms = tonumber(resume_delay_ms)
  local delay_until = delay_ms > 0 and math.min(call.now + delay_ms, LIMIT.max_integer) or nil
  return { KIND.resumed, delay_until and 'delayed' or 'waiting' }, ff.apply.suspension_closed, execution, suspension, 'resumed',
    TRIGGER.operator, '', delay_until
end
