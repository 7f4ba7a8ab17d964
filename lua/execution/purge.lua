-- purge_execution: see model/execution/purge.ts

local load = ff.loader('naming', 'own', 'fence', 'tags', 'streams')

-- The execution is removed from the list of its slot at once if that is short. In a long list the entry stays: it
-- counts only while a record's purge time names the slot.
local function purge(call, execution)
  ff.leave_short_slot(call, execution)
  ff.apply.execution_purged(call, execution)
  ff.leave_quarantine(call, { execution })
end

function ff.decide.purge_execution(call, execution_id)
  local execution = load(call, execution_id)
  if not execution then return { KIND.already_satisfied, 'not_found' } end
  if not ff.is_terminal(execution.situation) then return { KIND.already_satisfied, 'not_terminal' } end
  if ff.is_member(execution) then return { KIND.not_yet_due, ff.purge_time_of_member(call, execution) } end
  -- An execution without a time is kept for good.
  local purge_at = ff.time(execution.due_at)
  if not purge_at or purge_at > call.now then return { KIND.not_yet_due, execution.due_at } end
  ff.check_slot(call, execution)
  ff.check_ids(call, execution_id)
  ff.check_streams(call, execution)
  return KIND.purged, purge, execution
end
