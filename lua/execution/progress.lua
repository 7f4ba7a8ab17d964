-- update_progress: execution_id, lease_id, lease_epoch, attempt_id, progress_pct?, progress_message?

local FIELDS = ff.fields('currentLeaseId', 'currentLeaseEpoch', 'currentAttemptId', 'totalAttemptCount', 'dueAt')

function ff.operations.update_progress(call)
  local execution_id = ff.text(call)
  local fence = ff.read_fence(call)
  local event = { progress_pct = ff.optional(call), progress_message = ff.optional(call) }

  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.ownership_verdict(call, execution, fence, nil)
  if refusal then return refusal end

  ff.apply.progress_updated(call, execution, event)
  return ff.accept('updated')
end
