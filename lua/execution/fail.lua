-- fail_execution: see model/execution/fail.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'retries', 'rules', 'wait', 'failure_detail', 'streams')

function ff.prepare.fail_execution(_, source, attempt_index, failure_class, retry_rules)
  return {
    source = source, attempt_index = attempt_index, class = failure_class, rules = retry_rules ~= '' and retry_rules or nil,
  }
end

-- The answer to this same call when it ran before, if it did.
local function earlier_outcome(execution, fence)
  if not ff.was_last_owner(execution, fence) then return nil end
  if execution.situation == SITUATION.failed then return KIND.terminal_failed end
  if ff.is_runnable(execution.situation) and execution.next_attempt == NEXT.retry then
    return { KIND.retry_scheduled, execution.wait, execution.total_attempt_count }
  end
  return nil
end

function ff.decide.fail_execution(call, group, execution_id, fence, failure_reason, failure_detail, failure_category, jitter,
  retry_after_ms)
  if group.rules and group.source ~= 'operator_override' then return ff.reject('override_not_allowed') end
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, group.source, execution)
  if malformed then return malformed end
  local earlier = earlier_outcome(execution, fence)
  if earlier then return earlier end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end

  local category = failure_category ~= '' and failure_category or group.class
  local delay_until = ff.next_try_at(call, execution,
    { class = group.class, category = category, jitter = tonumber(jitter), retry_after_ms = tonumber(retry_after_ms),
      rules = group.rules })
  if delay_until then
    ff.timers_of(call)
    ff.check_stream(call, execution)
    return { KIND.retry_scheduled, delay_until, execution.total_attempt_count },
      ff.apply.retry_scheduled, execution, category, failure_reason, delay_until, failure_detail, group.rules ~= nil
  end
  local purge_at, purge_text = ff.check_ending(call, execution)
  return KIND.terminal_failed, ff.apply.execution_failed, execution, category, failure_reason, purge_at, purge_text, failure_detail
end
