-- The end of an execution whose attempt, or whose whole time, is over; the twin of model/execution/timeouts.ts.

-- Answers the event, and its arguments. Needs rules, retries, given and naming loaded.
function ff.timed_out(call, execution, reason, jitter)
  if reason == 'attempt_timeout' then
    local delay_until = ff.next_try_at(call, execution, { class = 'timeout', category = 'timeout', jitter = jitter })
    if delay_until then
      ff.timers_of(call)
      ff.check_stream(call, execution)
      return ff.apply.retry_scheduled, 'timeout', reason, delay_until
    end
  end
  local purge_at, purge_text = ff.check_ending(call, execution)
  return ff.apply.execution_expired, reason, purge_at, purge_text
end
