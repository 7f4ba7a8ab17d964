-- Delivers a signal whose sender is authorised; the twin of model/suspension/deliver.ts.

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'wait', 'rules')

-- The id under which a signal was accepted before.
local function earlier_id(call, key, signal)
  local values = ff.fields_of_waits(key, WAITS.signal_key .. signal.waitpoint_id .. ':' .. signal.key, WAITS.signal .. signal.id)
  local of_key = values[1]
  local earlier = of_key and command('HGET', key, WAITS.signal .. of_key)
  if earlier then
    local known = { signal = earlier }
    ff.read_waits_signal(known)
    local expires_at = ff.time(known.signal_key_expires_at)
    if expires_at and expires_at > call.now then return of_key end
  end
  return values[2] and signal.id or nil
end

local function accept(call, execution, suspension, signal)
  ff.apply.signal_accepted(call, execution, suspension, signal)
  if signal.effect ~= WORDS.effect.resume_condition_satisfied then return end
  -- The counts of the signal are in the waitpoint, which is closed now.
  if signal.added ~= '' then
    suspension.satisfiers = suspension.satisfiers == '' and signal.id or suspension.satisfiers .. ',' .. signal.id
  end
  local delay_ms = signal.resume_delay_ms > 0 and signal.resume_delay_ms or ff.count(suspension.resume_delay_ms)
  local delay_until = delay_ms > 0 and math.min(call.now + delay_ms, LIMIT.max_integer) or nil
  ff.apply.suspension_closed(call, execution, suspension, 'resumed', TRIGGER.signal, signal.id, delay_until)
end

-- The execution and the waitpoint that a signal is for; nil for each that does not exist.
function ff.signal_target(call, execution_id, waitpoint_id)
  local execution = load(call, execution_id)
  if not execution or not ff.has_waited(execution) then return execution, nil end
  return execution, ff.waitpoint_of(execution, waitpoint_id)
end

-- Most signals that an execution accepts. Needs rules loaded.
function ff.most_signals(execution, signal)
  return math.min(signal.max_signals, ff.rules(execution.rules).max_signals or signal.max_signals)
end

-- The limit that a further signal would exceed. `kept` is the number of signals at unused waitpoints.
local function limit_reached(execution, known, signal, kept)
  if known.signal_count >= ff.most_signals(execution, signal) then return 'signals' end
  if signal.payload ~= '' and known.payload_bytes + #signal.payload > LIMIT.max_signal_payloads_bytes then
    return 'payload_bytes'
  end
  return kept >= LIMIT.max_buffered_signals and 'buffered' or nil
end

-- Evaluates a signal for an open suspension.
local function evaluate(call, suspension, waitpoint, signal)
  call.work = call.work + (#suspension.condition + #suspension.progress) / LIMIT.condition_bytes_per_unit
  for i = 1, #suspension.waitpoints do
    if suspension.waitpoints[i].id == signal.waitpoint_id then signal.waitpoint = suspension.waitpoints[i] end
  end
  if not signal.waitpoint then ff.damaged('the waitpoint is of no suspension') end
  signal.waitpoint_key = waitpoint.waitpoint_key
  signal.effect, signal.added = ff.take_signal(ff.condition_of(suspension.condition, suspension.progress), signal)
  signal.is_matched = signal.effect ~= WORDS.effect.no_op and signal.effect ~= WORDS.effect.signal_ignored_matcher_failed
end

-- A signal has id, name, category, source_type, source_identity, key, key_ttl_ms, waitpoint_id, max_signals,
-- resume_delay_ms, payload, and its optional parts as a text.
function ff.deliver(call, execution, waitpoint, signal)
  local existing = earlier_id(call, execution.key .. SUFFIX.waits, signal)
  if existing then return { KIND.duplicate, existing } end
  if ff.is_terminal(execution.situation) then return ff.reject('target_not_signalable') end
  local state = waitpoint.waitpoint_state
  if state == WAITPOINT_STATE.closed or state == WAITPOINT_STATE.expired then return ff.reject('waitpoint_closed') end
  if state ~= WAITPOINT_STATE.pending then
    return ff.receive(call, execution, ff.check_suspension(execution, waitpoint), waitpoint, signal)
  end
  if ff.has_passed(call, waitpoint.expires_at) then return ff.reject('pending_waitpoint_expired') end
  local kept = ff.kept_of(execution)
  kept.progress, kept.satisfiers = '', ''
  return ff.receive(call, execution, kept, waitpoint, signal)
end

-- Accepts a new signal to a waitpoint of the open suspension, or to an unused one.
function ff.receive(call, execution, suspension, waitpoint, signal)
  local is_pending = waitpoint.waitpoint_state == WAITPOINT_STATE.pending
  local limit = limit_reached(execution, suspension, signal, is_pending and ff.count(waitpoint.signal_count) or 0)
  if limit then return ff.reject('signal_limit_exceeded', 'limit', limit) end
  if is_pending then
    signal.waitpoint, signal.effect, signal.added = waitpoint, WORDS.effect.buffered_for_pending_waitpoint, ''
    signal.is_matched = false
  else
    evaluate(call, suspension, waitpoint, signal)
    ff.check_queue_of(call, execution)
  end
  signal.ended_children = ff.ended_children_of(execution)
  local expires_at = ff.digits(math.min(call.now + signal.key_ttl_ms, LIMIT.max_integer))
  signal.text = signal.waitpoint_id .. '\t' .. signal.name .. '\t' .. signal.category .. '\t' .. signal.source_type .. '\t'
    .. signal.source_identity .. '\t' .. signal.key .. '\t' .. (signal.key == '' and '' or expires_at) .. '\t' .. signal.effect
  return { KIND.accepted, WORDS.effect_word[signal.effect] }, accept, execution, suspension, signal
end
