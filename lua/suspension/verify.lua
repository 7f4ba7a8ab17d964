-- Suspensions for `verifyPartition`: a call can have written the end of one, and broken off before the rest.

-- Resumes an execution whose suspension has ended so. Answers whether it did. A timeout that ends the execution is
-- still due, and needs nothing. Needs `ff.check_reindex`.
function ff.finish_suspension(call, execution)
  if execution.situation ~= SITUATION.suspended then return false end
  local closing = guarded('HGET', execution.key .. SUFFIX.waits, WAITS.closing)
  if type(closing) ~= 'string' then return false end
  local suspension = ff.check_suspension(execution)
  suspension.closing = closing
  ff.read_waits_closing(suspension)
  local trigger = suspension.resume_trigger
  if trigger == '' then return false end
  local delay_ms = trigger == TRIGGER.signal and ff.count(suspension.resume_delay_ms) or 0
  local delay_until = delay_ms > 0 and math.min(call.now + delay_ms, LIMIT.max_integer) or nil
  ff.apply.suspension_closed(call, execution, suspension, suspension.close_reason, trigger, suspension.closer_signal_id,
    delay_until)
  return true
end
