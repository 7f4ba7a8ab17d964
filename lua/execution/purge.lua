-- purge_execution: see model/execution/purge.ts

local FIELDS = ff.fields('fence')

function ff.decide.purge_execution(call, execution_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return { KIND.already_satisfied, 'not_found' } end
  if not ff.is_terminal(execution.situation) then return { KIND.already_satisfied, 'not_terminal' } end
  -- What has no time is kept for good.
  local purge_at = ff.time(execution.due_at)
  if not purge_at or purge_at > call.now then return { KIND.not_yet_due, execution.due_at } end
  ff.check_ids(call, execution_id)
  return KIND.purged, ff.apply.execution_purged, execution
end
