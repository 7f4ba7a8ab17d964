-- release_lease: execution_id, lease_id?, lease_epoch?, attempt_id?, attempt_index?

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt', 'nextAttempt',
  'leaseReleaseCount', 'rules', 'attemptTimeoutAt', 'executionDeadlineAt', 'laneId', 'requiredCapabilities',
  'priority', 'createdAt')

function ff.operations.release_lease(call, execution_id, lease_id, lease_epoch, attempt_id, attempt_index)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(nil, lease_id, lease_epoch, attempt_id)
  if malformed then return malformed end
  local released_before = execution.situation == 'ready' and execution.nextAttempt == 'resume'
  if released_before and ff.was_last_owner(execution, lease_epoch, attempt_id) then return ff.accept('released', execution_id) end
  local refusal = ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end
  local cap = ff.rules(execution.rules).max_release_count or L.defaultMaxReleaseCount
  if ff.count(execution.leaseReleaseCount) >= cap then return ff.reject('max_releases_exceeded') end

  ff.apply.lease_released(call, execution, { remaining_ms = ff.attempt_time_remaining(call, execution) })
  return ff.accept('released', execution_id)
end
