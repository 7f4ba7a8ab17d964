-- record_step: see model/step/record.ts

local load = ff.loader('bounds', 'fence', 'timing')

-- Whether a step is recorded with this value: the text under its key without its place.
local function has_value(execution, text, value_at, value)
  local key = execution.key .. SUFFIX.value
  local name = string.match(text, '^\t(.*)$')
  local known = name and guarded('GET', key .. name) or string.sub(text, 2)
  return known == ff.bytes_of(key, value_at, value)
end

-- How a recorded step answers a call that records it again.
local function recorded_before(execution, key, known, kind, failed, encoding, value_at, value, name, index)
  local place, text = string.match(known, '^(%d+)(.*)$')
  local step = { step = place and command('HGET', key, place) or ff.damaged('a step is missing') }
  ff.read_steps_step(step)
  if step.step_kind ~= kind then
    return ff.reject('step_changed', 'stepName', name, 'stepIndex', index, 'recorded', WORDS.step_kind_word[step.step_kind],
      'asked', WORDS.step_kind_word[kind])
  end
  local is_like = step.step_failed == failed and step.value_encoding == encoding
    and ff.count(step.value_bytes) == ff.count_bytes(value_at, value)
  local answer = is_like and has_value(execution, text, value_at, value) and KIND.recorded or KIND.already_recorded
  ff.discard_bytes(execution.key .. SUFFIX.value, value_at)
  return { answer, place }
end

-- The execution whose steps are recorded, and their totals: one table for all calls. Consecutive steps of one handler
-- reuse what the first one read.
local steps = { execution = false, fence = '', key = '', count = 0, bytes = 0 }

-- Reads the execution of a step whose owner may record it; answers the refusal otherwise.
local function load_owned(call, execution_id, fence)
  if call.records_steps and steps.execution.id == execution_id and steps.fence == fence then return nil end
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.fence_shape(fence, '', execution) or ff.work_verdict(call, execution, fence, '')
  if refusal then return refusal end
  local key = execution.key .. SUFFIX.steps
  steps.count, steps.bytes = ff.totals_of_steps(execution, key)
  steps.execution, steps.fence, steps.key = execution, fence, key
  call.records_steps = true
  return nil
end

function ff.decide.record_step(call, execution_id, fence, step, value_at, value)
  local refusal = load_owned(call, execution_id, fence)
  if refusal then return refusal end
  local execution = steps.execution
  if ff.lacks_bytes(execution.key .. SUFFIX.value, value_at, value) then return LIMIT.not_staged end
  local step_name, step_index, step_kind, failed, encoding = string.match(step, '^([^\t]*)\t(%d*)\t(%a*)\t(1?)\t(.*)$')
  local kind, id = WORDS.step_kind[step_kind], step_name .. ':' .. step_index
  local known = steps.count > 0 and command('HGET', steps.key, STEP.key .. id)
  if known then return recorded_before(execution, steps.key, known, kind, failed, encoding, value_at, value, step_name, step_index) end
  if steps.count >= LIMIT.max_steps or tonumber(step_index) >= LIMIT.max_steps then
    return ff.reject('step_limit_exceeded', 'maxSteps', ff.digits(LIMIT.max_steps))
  end
  local bytes = ff.count_bytes(value_at, value)
  if steps.bytes + bytes > LIMIT.max_steps_bytes then
    return ff.reject('step_limit_exceeded', 'maxBytes', ff.digits(LIMIT.max_steps_bytes))
  end
  -- Absent and empty differ: only a value has an encoding.
  local size = encoding ~= '' and ff.digits(bytes) or ''
  local text = ff.steps_given_text(step_name, step_index == '0' and '' or step_index, kind, failed, size, encoding)
  return { KIND.recorded, steps.count }, ff.apply.step_recorded, steps, id, text, value_at, value, bytes
end
