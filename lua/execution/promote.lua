-- promote_delayed: see model/execution/promote.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'wait')

function ff.decide.promote_delayed(call, execution_id)
  local execution = load(call, execution_id)
  if not execution then return { KIND.already_satisfied, 'not_found' } end
  if not ff.is_runnable(execution.situation) then return { KIND.already_satisfied, 'not_runnable' } end
  if not ff.is_delayed(execution.situation) then return { KIND.already_satisfied, 'not_delayed' } end
  if not ff.has_passed(call, execution.due_at) then return { KIND.not_yet_due, execution.due_at } end
  ff.check_queue_of(call, execution)
  return KIND.promoted, ff.apply.execution_promoted, execution
end
