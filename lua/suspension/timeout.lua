-- Applies the timeout of a suspension; the twin of model/suspension/timeout.ts.

local TIMEOUT = 'suspension_timeout'

-- Only an escalation needs it.
local load_edits = ff.loader('edits')

local ENDS = {}
ENDS[WORDS.behavior.fail] = function(call, execution, ending)
  ff.apply.execution_failed(call, execution, TIMEOUT, TIMEOUT .. ':fail', ending.purge_at, ending.purge_text)
end
ENDS[WORDS.behavior.cancel] = function(call, execution, ending)
  ff.apply.execution_cancelled(call, execution, TIMEOUT, TIMEOUT .. ':cancel', ending.purge_at, ending.purge_text)
end
ENDS[WORDS.behavior.expire] = function(call, execution, ending)
  ff.apply.execution_expired(call, execution, TIMEOUT .. ':expire', ending.purge_at, ending.purge_text)
end
local REASONS = {}
REASONS[WORDS.behavior.fail] = 'timed_out_fail'
REASONS[WORDS.behavior.cancel] = 'timed_out_cancel'
REASONS[WORDS.behavior.expire] = 'timed_out_expire'

local function end_it(call, execution, suspension, ending)
  local behavior = suspension.timeout_behavior
  ff.apply.suspension_closed(call, execution, suspension, REASONS[behavior], '', '', nil)
  execution.closes_with = CLOSED.suspension_timeout
  ENDS[behavior](call, execution, ending)
end

-- The signal that represents the timeout.
local function timeout_signal(suspension)
  local first = suspension.waitpoints[1]
  local waitpoint_id = first.id
  return {
    id = suspension.suspension_id, waitpoint_id = waitpoint_id, waitpoint = first, key = '', added = '', is_matched = false,
    payload = '', carried = '', ended_children = suspension.ended_children,
    text = waitpoint_id .. '\t__timeout__\ttimeout\tengine\t' .. TIMEOUT .. '\t\t\t' .. WORDS.effect.no_op,
  }
end

local function auto_resume(call, execution, suspension)
  local closer = ''
  if suspension.signals_timeout then
    closer = suspension.suspension_id
    ff.apply.signal_accepted(call, execution, suspension, timeout_signal(suspension))
  end
  ff.apply.suspension_closed(call, execution, suspension, 'timed_out_auto_resume', TRIGGER.timeout, closer, nil)
end

-- Decides the timeout: the event to apply, and its arguments. Needs naming, given, bounds, needs, timing, retries,
-- rules and wait loaded.
function ff.suspension_timeout(call, execution)
  local suspension = ff.check_suspension(execution)
  local behavior = suspension.timeout_behavior
  if behavior == WORDS.behavior.escalate then
    ff.timers_of(call)
    execution.edits = load_edits(call, execution.id).edits
    return ff.apply.suspension_escalated, suspension
  end
  if ENDS[behavior] then
    local purge_at, purge_text = ff.check_ending(call, execution)
    return end_it, suspension, { purge_at = purge_at, purge_text = purge_text }
  end
  ff.check_queue_of(call, execution)
  -- A sender may have used the id for a signal of its own, which stays.
  suspension.signals_timeout = behavior == WORDS.behavior.auto_resume_with_timeout_signal
    and not ff.fields_of_waits(suspension.key, WAITS.signal .. suspension.suspension_id)[1]
  suspension.ended_children = ff.ended_children_of(execution)
  return auto_resume, suspension
end
