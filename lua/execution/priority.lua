-- change_priority: see model/execution/priority.ts

local load = ff.loader('naming', 'given', 'needs', 'edits')

function ff.decide.change_priority(call, execution_id, new_priority, requested_by)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if not ff.is_runnable(execution.situation) then return ff.not_eligible(execution) end
  ff.read_given(execution)
  if ff.count(execution.priority) == tonumber(new_priority) then return KIND.changed end
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return KIND.changed, ff.apply.priority_changed, execution, new_priority == '0' and '' or new_priority, requested_by
end
