-- The remaining time of parked attempts, as texts. Needs timing loaded.

-- The stored remaining time of the attempt.
function ff.remaining_of(execution)
  ff.read_timing(execution)
  return execution.attempt_timeout_remaining_ms
end

-- The remaining time of an attempt that is parked now.
function ff.remaining_at(call, execution)
  ff.read_timing(execution)
  local timeout_at = ff.time(execution.attempt_timeout_at)
  -- Claimed ahead and not begun: all of its time is left.
  if not timeout_at then return execution.attempt_timeout_remaining_ms end
  return ff.digits(math.max(0, timeout_at - call.now))
end
