-- What an attempt keeps while nobody works on it: the rest of its time, or nil when it has no timeout.

function ff.attempt_time_remaining(call, execution)
  local timeout_at = tonumber(execution.attemptTimeoutAt)
  if not timeout_at then return nil end
  return math.max(0, timeout_at - call.now)
end
