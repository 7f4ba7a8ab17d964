-- expire_pending_waitpoint: see model/suspension/expire-pending.ts

local load = ff.loader('bounds', 'timing', 'grant')

-- What is due for an execution with expired unused waitpoints: these, oldest first.
function ff.lapsed_pending(call, execution)
  local kept, lapsed = ff.kept_of(execution), {}
  for i = 1, #kept.pending do
    if ff.has_passed(call, kept.pending[i].expires_at) then lapsed[#lapsed + 1] = kept.pending[i] end
  end
  -- The bounds of the record say that one has.
  if not lapsed[1] then ff.damaged('a waitpoint is missing') end
  return kept, lapsed
end

function ff.decide.expire_pending_waitpoint(call, execution_id, waitpoint_id)
  local execution = load(call, execution_id)
  local waitpoint = execution and ff.has_waited(execution) and ff.waitpoint_of(execution, waitpoint_id)
  if not waitpoint then return { KIND.already_satisfied, 'not_found_cleaned' } end
  if waitpoint.waitpoint_state ~= WAITPOINT_STATE.pending then return { KIND.already_satisfied, 'not_pending_cleaned' } end
  if not ff.has_passed(call, waitpoint.expires_at) then return { KIND.already_satisfied, 'not_yet_due' } end
  ff.timers_of(call)
  return KIND.waitpoint_expired, ff.apply.pending_waitpoint_expired, execution, ff.kept_of(execution), waitpoint
end
