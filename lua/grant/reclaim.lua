-- reclaim_execution: see model/grant/reclaim.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'tags', 'rules', 'input', 'fence', 'retries', 'timing',
  'progress', 'edits', 'wait', 'grant', 'streams')

function ff.prepare.reclaim_execution(call, worker, lane_id, lease_ttl_ms)
  return ff.new_owner(call, worker, lane_id, lease_ttl_ms)
end

function ff.decide.reclaim_execution(call, group, execution_id, grant_id, lease_id, attempt_id, max_reclaim_count)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  if ff.is_other_lane(execution, group.lane_id) then return ff.reject('invalid_input', 'field', 'laneId') end
  local owned, attempt = ff.is_owned_by(call, execution, lease_id)
  if owned and attempt == attempt_id then return ff.taken_before(execution, CLAIM.reclaimed) end
  if not ff.is_reclaimable(execution.situation) or ff.is_held(execution) or ff.is_owed_cancel(call, execution) then
    return KIND.not_reclaimable
  end
  if ff.exceeds_reclaim_cap(execution, tonumber(max_reclaim_count)) then
    local purge_at, purge_text = ff.check_ending(call, execution)
    ff.check_queue_of(call, execution)
    return { KIND.reclaim_cap_exceeded, ff.count(execution.lease_reclaim_count) }, ff.apply.execution_failed, execution,
      LIMIT.max_reclaims_exceeded, LIMIT.max_reclaims_exceeded, purge_at, purge_text
  end
  if ff.fault_of_grant(call, execution, group, grant_id, true) then return KIND.grant_not_found end
  return ff.take_over(call, execution, group, lease_id, attempt_id)
end
