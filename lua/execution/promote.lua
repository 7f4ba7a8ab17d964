-- promote_delayed: execution_id

local FIELDS = ff.fields('dueAt', 'laneId', 'requiredCapabilities', 'priority', 'createdAt', 'executionDeadlineAt')

function ff.operations.promote_delayed(call, execution_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.accept('already_satisfied', 'not_found') end
  if not ff.is_runnable(execution.situation) then return ff.accept('already_satisfied', 'not_runnable') end
  if not ff.is_delayed(execution.situation) then return ff.accept('already_satisfied', 'not_delayed') end
  if tonumber(execution.dueAt) > call.now then return ff.accept('not_yet_due', execution.dueAt) end

  ff.apply.execution_promoted(call, execution)
  return ff.accept('promoted')
end
