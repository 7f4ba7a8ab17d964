-- hold_execution, release_hold: see model/execution/hold.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'edits')

function ff.decide.hold_execution(call, execution_id, reason, requested_by)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_terminal(execution.situation) then return ff.not_active(execution) end
  if ff.is_held(execution) then return { KIND.already_satisfied, 'already_held' } end
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  if ff.is_granted(execution) then ff.timers_of(call) end
  return { KIND.held, PUBLIC_STATE[execution.situation] }, ff.apply.execution_held, execution, requested_by, reason
end

function ff.decide.release_hold(call, execution_id, reason, requested_by)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if not ff.is_held(execution) then return { KIND.already_satisfied, 'not_held' } end
  if ff.is_claimable(execution.situation) then ff.check_queue_of(call, execution) end
  return { KIND.hold_released, PUBLIC_STATE[execution.situation] }, ff.apply.hold_released, execution, requested_by, reason
end
