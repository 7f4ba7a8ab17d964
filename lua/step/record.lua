-- record_step: see model/step/record.ts

local load = ff.loader('bounds', 'fence', 'timing')

-- What a step that was recorded before is to a call that records it again.
local function recorded_before(key, known, kind, failed, encoding, value, name, index)
  local place, known_value = string.match(known, '^(%d+)\n(.*)$')
  local step = { step = place and command('HGET', key, place) or ff.damaged('a step is missing') }
  ff.read_steps_step(step)
  if step.step_kind ~= kind then
    return ff.reject('step_changed', 'stepName', name, 'stepIndex', index, 'recorded', WORDS.step_kind_word[step.step_kind],
      'asked', WORDS.step_kind_word[kind])
  end
  if step.step_failed == failed and step.value_encoding == encoding and known_value == value then return KIND.recorded end
  return KIND.already_recorded
end

function ff.decide.record_step(call, execution_id, fence, step, value)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(fence, '', execution) or ff.work_verdict(call, execution, fence, '')
  if refusal then return refusal end
  local step_name, step_index, step_kind, failed, encoding = string.match(step, '^([^\t]*)\t(%d*)\t(%a*)\t(1?)\t(.*)$')
  local kind, key, id = WORDS.step_kind[step_kind], execution.key .. SUFFIX.steps, step_name .. ':' .. step_index
  local known, count, bytes = ff.find_step(execution, key, id)
  if known then return recorded_before(key, known, kind, failed, encoding, value, step_name, step_index) end
  if count >= LIMIT.max_steps or tonumber(step_index) >= LIMIT.max_steps then
    return ff.reject('step_limit_exceeded', 'maxSteps', ff.digits(LIMIT.max_steps))
  end
  if bytes + #value > LIMIT.max_steps_bytes then
    return ff.reject('step_limit_exceeded', 'maxBytes', ff.digits(LIMIT.max_steps_bytes))
  end
  -- Absent and empty differ: only a value has an encoding.
  local size = encoding ~= '' and ff.digits(#value) or ''
  local text = ff.steps_given_text(step_name, step_index == '0' and '' or step_index, kind, failed, size, encoding)
  return KIND.recorded, ff.apply.step_recorded, execution, key, id, text, value, count, bytes + #value
end
