-- complete_execution: execution_id, lease_id?, lease_epoch?, attempt_id?, attempt_index?, source, result? (2), result_encoding?

-- The execution as its completion needs it, or nil. Nothing else is done as often: one table, filled at once.
local function load(call, execution_id)
  local uuid = ff.uuid(execution_id)
  local key = call.base .. uuid
  local values = store('HMGET', key, F.situation, F.dueAt, F.currentLeaseId, F.currentLeaseEpoch, F.currentAttemptId,
    F.totalAttemptCount, F.rules)
  if not values[1] then return nil end
  return {
    id = execution_id, uuid = uuid, key = key, situation = values[1], dueAt = values[2], currentLeaseId = values[3],
    currentLeaseEpoch = values[4], currentAttemptId = values[5], totalAttemptCount = values[6], rules = values[7],
  }
end

function ff.operations.complete_execution(call, execution_id, lease_id, lease_epoch, attempt_id, attempt_index, source,
    result_at, result, result_encoding)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(source, lease_id, lease_epoch, attempt_id)
  if malformed then return malformed end
  if execution.situation == 'completed' and ff.was_last_owner(execution, lease_epoch, attempt_id) then
    return ff.accept('completed', execution_id)
  end
  local refusal = ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end
  if ff.lacks_bytes(execution.key, X.result, result_at, result) then return ff.not_staged() end
  -- Only an execution that was tried before can have failed before.
  local failed = execution.totalAttemptCount ~= '1' and store('HEXISTS', execution.key, F.failureCategory) == 1

  ff.apply.execution_completed(call, execution, result_at, result, result_encoding, failed)
  return ff.accept('completed', execution_id)
end
