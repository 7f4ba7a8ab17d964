-- What an attempt keeps while nobody works on it. Needs timing loaded; answers texts.

-- The rest of the attempt's time as it is kept.
function ff.remaining_of(execution)
  ff.read_timing(execution)
  return execution.attempt_timeout_remaining_ms
end

-- The rest of the attempt's time when it is parked now.
function ff.remaining_at(call, execution)
  ff.read_timing(execution)
  local timeout_at = ff.time(execution.attempt_timeout_at)
  -- Claimed ahead and not begun: the whole of it is left.
  if not timeout_at then return execution.attempt_timeout_remaining_ms end
  return ff.digits(math.max(0, timeout_at - call.now))
end
