-- signal_execution: see model/suspension/send.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'wait', 'kept', 'rules')

-- The twin of model/suspension/channel.ts.
function ff.channel_of(waitpoint_key)
  return string.match(waitpoint_key, '^[^#]*')
end

-- The first waitpoint of a suspension that receives signals of a name.
local function listening_at(suspension, name)
  local waitpoints = suspension and suspension.waitpoints or {}
  for i = 1, #waitpoints do
    if ff.channel_of(waitpoints[i].waitpoint_key) == name then return waitpoints[i] end
  end
  return nil
end

-- Keeps a signal for which there is no waitpoint yet.
local function keep(call, execution, signal, counts)
  local key = execution.key .. SUFFIX.waits
  local change = {
    key, WAITS.signal .. signal.id, ff.text_of_signal(call, signal, counts.signals + 1), WAITS.signal_count, ff.digits(counts.signals + 1),
  }
  if signal.payload ~= '' then
    change[#change + 1] = WAITS.payload_bytes
    change[#change + 1] = ff.digits(counts.payload_bytes + #signal.payload)
    command('HSET', execution.key .. SUFFIX.payloads, signal.id, signal.payload)
  end
  command('HSET', unpack(change))
  ff.note_extra(execution, FIELD.kept)
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.kept, ff.kept_text(ff.digits(counts.kept + 1)))
  ff.append_filtered(call, EVENT.signal_accepted, execution, 5, signal.id, signal.text, '', signal.carried,
    execution.naming, '')
end

function ff.decide.signal_execution(call, execution_id, signal_id, signal_name, signal_category, source_type, source_identity,
  max_signals_per_execution, correlation_id, created_at, payload_encoding, payload)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local signal = {
    id = signal_id, waitpoint_id = '', name = signal_name, category = signal_category, source_type = source_type,
    source_identity = source_identity, key = '', key_ttl_ms = 0, max_signals = tonumber(max_signals_per_execution),
    resume_delay_ms = 0, payload = payload,
    carried = ff.carried_of(correlation_id, payload, payload_encoding, 'execution', created_at),
  }
  local field = WAITS.signal .. signal_id
  local suspension = execution.situation == SITUATION.suspended and ff.check_suspension(execution, nil, field)
  if suspension and suspension.other then return { KIND.duplicate, signal_id } end
  local waitpoint = listening_at(suspension, signal_name)
  if waitpoint then
    signal.waitpoint_id = string.sub(waitpoint.field, #WAITS.waitpoint + 1)
    return ff.receive(call, execution, suspension, waitpoint, signal)
  end
  local values = ff.fields_of_waits(execution.key .. SUFFIX.waits, WAITS.signal_count, WAITS.payload_bytes, field)
  if values[3] then return { KIND.duplicate, signal_id } end
  if ff.is_terminal(execution.situation) then return ff.reject('target_not_signalable') end
  local counts = { signals = ff.count(values[1] or ''), payload_bytes = ff.count(values[2] or ''), kept = ff.kept_count(execution) }
  if counts.signals >= ff.most_signals(execution, signal) then return ff.reject('signal_limit_exceeded', 'limit', 'signals') end
  if payload ~= '' and counts.payload_bytes + #payload > LIMIT.max_signal_payloads_bytes then
    return ff.reject('signal_limit_exceeded', 'limit', 'payload_bytes')
  end
  local effect = WORDS.effect.kept_for_a_wait
  signal.ended_children = ff.ended_children_of(execution)
  signal.text = '\t' .. signal_name .. '\t' .. signal_category .. '\t' .. source_type .. '\t' .. source_identity .. '\t\t\t' .. effect
  return { KIND.accepted, 'kept_for_a_wait' }, keep, execution, signal, counts
end
