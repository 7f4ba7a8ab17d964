-- issue_claim_grant, issue_reclaim_grant: see model/grant/issue.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries', 'rules', 'wait', 'grant', 'streams')

local function group_of(call, worker, lane_id, worker_capabilities, kinds, grant_ttl_ms)
  return {
    worker = worker, lane_id = lane_id, capabilities = worker_capabilities, kinds = kinds,
    expires_at = ff.digits(call.now + grant_ttl_ms),
  }
end

-- The further arguments are texts on which the scheduler decided.
local function issue(call, group, execution, grant_id, ...)
  ff.apply.grant_issued(call, execution, group.expires_at .. '\t' .. grant_id .. '\t' .. group.worker, group.expires_at, ...)
end

-- Whether the lane of an execution is paused.
local function is_paused(call, execution)
  return call.stated > 0 and ff.state_of_lane(call, ff.lane_of(execution)) == LANE_STATE.paused
end

function ff.prepare.issue_claim_grant(call, worker, lane_id, worker_capabilities, kinds, grant_ttl_ms)
  return group_of(call, worker, lane_id, worker_capabilities, kinds, grant_ttl_ms)
end

function ff.decide.issue_claim_grant(call, group, execution_id, grant_id, capability_hash, route_snapshot_json,
    admission_summary)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  if execution.situation ~= SITUATION.ready or ff.is_held(execution) then return ff.not_eligible(execution) end
  if ff.is_owed_cancel(call, execution) then return ff.reject('execution_not_eligible', 'reason', 'cancel_owed') end
  if ff.has_live_grant(call, execution) then
    if not ff.is_of_same(execution, group.worker) then return ff.reject('grant_already_exists') end
    return ff.granted(execution, execution.grant_id, execution.grant_expires_at)
  end
  if is_paused(call, execution) then return ff.reject('execution_not_eligible', 'laneState', 'paused') end
  local missing, kind = ff.mismatch(execution, group.capabilities, group.kinds)
  if kind then return ff.reject('capability_mismatch', 'missing', missing, 'executionKind', kind) end
  if missing then return ff.reject('capability_mismatch', 'missing', missing) end
  ff.check_queue_of(call, execution)
  return ff.granted(execution, grant_id, group.expires_at), issue, group, execution, grant_id, capability_hash,
    route_snapshot_json, admission_summary
end

function ff.prepare.issue_reclaim_grant(call, worker, lane_id, worker_capabilities, kinds, grant_ttl_ms)
  return group_of(call, worker, lane_id, worker_capabilities, kinds, grant_ttl_ms)
end

-- What a worker lacks, in words.
local function in_words(missing, kind)
  if not kind then return missing end
  return (missing == '' and '' or missing .. '; ') .. 'kind ' .. kind
end

local function mark_and_issue(call, lapses, group, execution, grant_id, ...)
  if lapses then ff.apply.lease_expired(call, execution) end
  issue(call, group, execution, grant_id, ...)
end

local function mark_and_end(call, lapses, execution, purge_at, purge_text)
  if lapses then ff.apply.lease_expired(call, execution) end
  ff.apply.execution_failed(call, execution, LIMIT.max_reclaims_exceeded, LIMIT.max_reclaims_exceeded, purge_at, purge_text)
end

function ff.decide.issue_reclaim_grant(call, group, execution_id, grant_id, capability_hash, route_snapshot_json,
    admission_summary)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  -- A lease that lapsed unnoticed is recorded as lapsed here.
  local lapses = execution.situation == SITUATION.running and ff.has_passed(call, execution.due_at)
  if not (lapses or ff.is_reclaimable(execution.situation)) or ff.is_held(execution) then
    return { KIND.not_reclaimable, 'execution_not_reclaimable' }
  end
  if ff.is_owed_cancel(call, execution) then return { KIND.not_reclaimable, 'cancel_owed' } end
  if ff.has_live_grant(call, execution) then
    if not ff.is_of_same(execution, group.worker) then return ff.reject('grant_already_exists') end
    return ff.granted(execution, execution.grant_id, execution.grant_expires_at)
  end
  if is_paused(call, execution) then return { KIND.not_reclaimable, 'lane_paused' } end
  if ff.exceeds_reclaim_cap(execution, nil, lapses) then
    local purge_at, purge_text = ff.check_ending(call, execution)
    ff.check_queue_of(call, execution)
    return { KIND.reclaim_cap_exceeded, ff.count(execution.lease_reclaim_count) },
      mark_and_end, lapses, execution, purge_at, purge_text
  end
  local missing, kind = ff.mismatch(execution, group.capabilities, group.kinds)
  if missing then return { KIND.not_reclaimable, 'capability_mismatch: ' .. in_words(missing, kind) } end
  ff.check_queue_of(call, execution)
  if lapses then ff.check_stream(call, execution) end
  local answer = ff.granted(execution, grant_id, group.expires_at)
  answer[3] = CLAIM.reclaimed
  return answer, mark_and_issue, lapses, group, execution, grant_id, capability_hash, route_snapshot_json, admission_summary
end
