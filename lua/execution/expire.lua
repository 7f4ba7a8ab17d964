-- expire_execution: execution_id, expire_reason, jitter?

local FIELDS = ff.fields('dueAt', 'nextAttempt', 'totalAttemptCount', 'attemptTimeoutAt',
  'attemptTimeoutRemainingMs', 'rules', 'retryCount', 'executionDeadlineAt', 'laneId', 'requiredCapabilities')

function ff.operations.expire_execution(call, execution_id, reason, jitter)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution or ff.is_terminal(execution.situation) then return ff.accept('already_terminal') end
  local due_at
  if reason == 'execution_deadline' then
    due_at = tonumber(execution.executionDeadlineAt)
  elseif ff.is_active(execution.situation) then
    due_at = tonumber(execution.attemptTimeoutAt)
  end
  if not due_at or due_at > call.now then return ff.accept('not_yet_due') end

  if reason == 'attempt_timeout' then
    local delay_until = ff.next_try_at(call, execution, { class = 'timeout', category = 'timeout', jitter = tonumber(jitter) })
    if delay_until then
      ff.apply.retry_scheduled(call, execution, { failure_reason = reason, failure_category = 'timeout', delay_until = delay_until })
      return ff.accept('retry_scheduled', delay_until, execution.totalAttemptCount)
    end
  end
  ff.apply.execution_expired(call, execution, { expire_reason = reason, purge_at = ff.purge_at(call, execution) })
  return ff.accept('expired', execution_id)
end
