-- update_progress: execution_id, lease_id, lease_epoch, attempt_id, progress_pct?, progress_message?

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt')

function ff.operations.update_progress(call, execution_id, lease_id, lease_epoch, attempt_id, progress_pct, progress_message)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.ownership_verdict(call, execution, nil, lease_id, lease_epoch, attempt_id)
  if refusal then return refusal end

  ff.apply.progress_updated(call, execution,
    { progress_pct = ff.given(progress_pct), progress_message = ff.given(progress_message) })
  return ff.accept('updated')
end
