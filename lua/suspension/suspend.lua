-- suspend_execution: see model/suspension/suspend.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'wait')

-- Ids and keys of the waitpoints, a line for each.
local function bindings_of(text)
  local ids, keys = {}, {}
  for id, key in string.gmatch(text, '([^\t\n]+)\t([^\n]+)') do
    ids[#ids + 1], keys[#keys + 1] = id, key
  end
  return ids, keys
end

-- The first of the ids that a waitpoint has had.
local function known_id(execution, ids)
  if not ff.has_waited(execution) then return nil end
  for i = 1, #ids do
    if ff.waitpoint_of(execution, ids[i]) then return ids[i] end
  end
  return nil
end

-- Whether this very suspension was made before.
local function is_repeated(execution, fence, suspension_id)
  if execution.situation ~= SITUATION.suspended then return false end
  return ff.suspension_of(execution).suspension_id == suspension_id and ff.was_last_owner(execution, fence)
end

function ff.decide.suspend_execution(call, execution_id, fence, attempt_index, suspension_id, waitpoints, condition, reason_code,
  requested_by, timeout_at, timeout_behavior, resume_delay_ms)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, '', execution)
  if malformed then return malformed end
  if is_repeated(execution, fence, suspension_id) then return KIND.suspended end
  local refusal = ff.work_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end
  local ids, keys = bindings_of(waitpoints)
  local known = known_id(execution, ids)
  if known then return ff.reject('waitpoint_already_exists', 'waitpointId', known) end
  ff.timers_of(call)
  local index = ff.count(execution.total_attempt_count) - 1
  local reason = WORDS.reason[reason_code]
  return KIND.suspended, ff.apply.execution_suspended, execution, {
    ids = ids, keys = keys, waitpoints = waitpoints, condition = condition, timeout_at = timeout_at, reason = reason,
    remaining_ms = ff.remaining_at(call, execution),
    given = suspension_id .. '\t' .. (index == 0 and '' or ff.digits(index)) .. '\t' .. reason .. '\t' .. WORDS.requester[requested_by]
      .. '\t' .. timeout_at .. '\t' .. WORDS.behavior[timeout_behavior] .. '\t' .. (resume_delay_ms == '0' and '' or resume_delay_ms),
  }
end
