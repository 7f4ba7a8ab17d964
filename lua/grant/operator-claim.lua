-- issue_grant_and_claim: see model/grant/operator-claim.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'tags', 'rules', 'input', 'fence', 'retries', 'timing',
  'progress', 'edits', 'wait', 'grant', 'streams')

local OPERATOR = 'operator\toperator'

function ff.prepare.issue_grant_and_claim(call, lane_id, lease_duration_ms)
  return ff.new_owner(call, OPERATOR, lane_id, lease_duration_ms)
end

local function grant_and_take(call, owner, take, lease_id)
  ff.apply.grant_issued(call, take.execution, call.now_text .. '\t' .. lease_id .. '\t' .. OPERATOR .. '\t', call.now_text,
    '', '', '')
  -- Blocked work whose attempt was interrupted is on a shelf.
  ff.reshelve(call, take.execution.id, take.execution.situation, SITUATION.running)
  ff.apply.acquired(call, owner, take)
end

function ff.decide.issue_grant_and_claim(call, group, execution_id, lease_id, attempt_id)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  local owned, attempt = ff.is_owned_by(call, execution, lease_id)
  if owned then return ff.taken_before(execution, attempt == attempt_id and CLAIM.fresh or CLAIM.resumed) end
  local is_open = execution.situation == SITUATION.ready or execution.next_attempt == NEXT.resume
  local is_waiting = execution.situation == SITUATION.blocked_dependencies
  if not ff.is_runnable(execution.situation) or is_waiting or not is_open or ff.is_held(execution) then
    return ff.not_eligible(execution)
  end
  if ff.is_owed_cancel(call, execution) then return ff.reject('execution_not_eligible', 'reason', 'cancel_owed') end
  if ff.has_live_grant(call, execution) then return ff.reject('grant_already_exists') end
  local reply, _, owner, take = ff.take_over(call, execution, group, lease_id, attempt_id)
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return reply, grant_and_take, owner, take, lease_id
end
