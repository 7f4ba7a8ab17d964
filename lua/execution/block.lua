-- block_execution_for_admission, block_route, unblock_execution: see model/execution/block.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'grant')

-- Why an execution cannot be blocked, if so.
local function obstacle_of(call, execution)
  if not execution then return 'execution_not_found' end
  if ff.is_terminal(execution.situation) then return 'execution_not_active' end
  local is_open = execution.situation == SITUATION.ready and not ff.is_held(execution) and not ff.has_live_grant(call, execution)
  if not is_open then return 'execution_not_eligible' end
  return nil
end

function ff.decide.block_execution_for_admission(call, execution_id, blocking_reason, blocking_detail)
  local execution = load(call, execution_id)
  local situation = BLOCK[blocking_reason]
  if execution and execution.situation == situation then return { KIND.already_satisfied, 'already_blocked' } end
  local obstacle = obstacle_of(call, execution)
  if obstacle == 'execution_not_found' then return ff.reject('execution_not_found') end
  if obstacle == 'execution_not_active' then return ff.not_active(execution) end
  if obstacle then return ff.not_eligible(execution) end
  ff.check_queue_of(call, execution)
  return KIND.blocked, ff.apply.execution_blocked, execution, situation, blocking_detail
end

function ff.decide.block_route(call, execution_id, reason_detail)
  local execution = load(call, execution_id)
  if execution and execution.situation == SITUATION.blocked_route then return KIND.blocked end
  local obstacle = obstacle_of(call, execution)
  if obstacle then return { KIND.not_blocked, obstacle } end
  ff.check_queue_of(call, execution)
  return KIND.blocked, ff.apply.execution_blocked, execution, SITUATION.blocked_route, reason_detail
end

function ff.decide.unblock_execution(call, execution_id, expected_blocking_reason)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local situation = execution.situation
  if not ff.is_blocked(situation) then return ff.not_eligible(execution) end
  if expected_blocking_reason ~= '' and BLOCK[expected_blocking_reason] ~= situation then return ff.not_eligible(execution) end
  ff.check_queue_of(call, execution)
  return KIND.unblocked, ff.apply.execution_unblocked, execution
end
