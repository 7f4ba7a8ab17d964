-- purge_execution: execution_id

local FIELDS = ff.fields('dueAt')

function ff.operations.purge_execution(call, execution_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then
    ff.forget_retained(call, execution_id)
    return ff.accept('already_satisfied', 'not_found')
  end
  if not ff.is_terminal(execution.situation) then return ff.accept('already_satisfied', 'not_terminal') end
  if tonumber(execution.dueAt) > call.now then return ff.accept('not_yet_due', execution.dueAt) end

  ff.apply.execution_purged(call, execution)
  return ff.accept('purged')
end
