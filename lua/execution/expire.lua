-- expire_execution: see model/execution/expire.ts

local load = ff.loader('naming', 'bounds', 'needs', 'timing', 'retries', 'rules', 'wait', 'failure_detail', 'streams')

function ff.prepare.expire_execution(_, expire_reason)
  return { reason = expire_reason }
end

-- The time at which the execution expires for a reason, or nil when it cannot.
local function timeout_of(execution, reason)
  if reason == 'execution_deadline' then
    ff.read_bounds(execution)
    return ff.time(execution.execution_deadline_at)
  end
  if not ff.is_active(execution.situation) then return nil end
  ff.read_timing(execution)
  return ff.time(execution.attempt_timeout_at)
end

function ff.decide.expire_execution(call, group, execution_id, jitter)
  local execution = load(call, execution_id)
  if not execution or ff.is_terminal(execution.situation) then return KIND.already_terminal end
  local due_at = timeout_of(execution, group.reason)
  if not due_at or due_at > call.now then return KIND.not_yet_due end
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  local apply, a, b, c = ff.timed_out(call, execution, group.reason, tonumber(jitter))
  if apply == ff.apply.retry_scheduled then
    return { KIND.retry_scheduled, c, execution.total_attempt_count }, apply, execution, a, b, c
  end
  return KIND.expired, apply, execution, a, b, c
end
