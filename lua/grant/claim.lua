-- claim_execution, claim_resumed_execution: see model/grant/claim.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'tags', 'rules', 'input', 'fence', 'retries', 'timing',
  'progress', 'edits', 'wait', 'grant', 'streams')

-- Whether the execution is claimable and not held.
local function is_waiting(execution)
  return execution.situation == SITUATION.ready and not ff.is_held(execution)
end

local function refusal_of(fault)
  return fault == 'over' and ff.reject('claim_grant_expired') or ff.reject('invalid_claim_grant')
end

function ff.prepare.claim_execution(call, worker, lane_id, lease_ttl_ms)
  return ff.new_owner(call, worker, lane_id, lease_ttl_ms)
end

function ff.decide.claim_execution(call, group, execution_id, grant_id, lease_id, attempt_id)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  local owned, attempt = ff.is_owned_by(call, execution, lease_id)
  if owned and attempt == attempt_id then return ff.taken_before(execution, CLAIM.fresh) end
  if not is_waiting(execution) or ff.is_owed_cancel(call, execution) then return ff.reject('execution_not_leaseable') end
  if execution.next_attempt == NEXT.resume then return ff.reject('use_claim_resumed_execution') end
  local fault = ff.fault_of_grant(call, execution, group, grant_id, false)
  if fault then return refusal_of(fault) end
  return ff.take_over(call, execution, group, lease_id, attempt_id)
end

function ff.prepare.claim_resumed_execution(call, worker, lane_id, lease_ttl_ms)
  return ff.new_owner(call, worker, lane_id, lease_ttl_ms)
end

function ff.decide.claim_resumed_execution(call, group, execution_id, grant_id, lease_id)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  if ff.is_owned_by(call, execution, lease_id) then return ff.taken_before(execution, CLAIM.resumed) end
  if not is_waiting(execution) or ff.is_owed_cancel(call, execution) then return ff.reject('execution_not_leaseable') end
  if execution.next_attempt ~= NEXT.resume then return ff.reject('not_a_resumed_execution') end
  local fault = ff.fault_of_grant(call, execution, group, grant_id, false)
  if fault then return refusal_of(fault) end
  return ff.take_over(call, execution, group, lease_id, '')
end
