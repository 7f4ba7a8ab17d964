-- complete_execution: see model/execution/complete.ts

local load = ff.refilling_loader('naming', 'bounds', 'fence', 'timing', 'retries', 'rules', 'streams', 'membership')

-- The extras of members without any other extra.
local IS_MEMBER_ALONE = {
  [FIELD.membership] = true, [FIELD.membership .. FIELD.group] = true, [FIELD.group .. FIELD.membership] = true,
}

-- Facts shared by completions: one table for all groups, which run one after another. It also has the life, rules and
-- timing of the last plain completion of its group, its purge time, and whether it was that of a member.
local shared = {
  source = '', by_operator = false, attempt_index = '', result_encoding = '', life = false, rules = '', timing = '',
  purge_at = false, purge_text = '', of_member = false,
}

function ff.prepare.complete_execution(_, source, attempt_index, result_encoding)
  shared.source, shared.by_operator = source, source == 'operator_override'
  shared.attempt_index, shared.result_encoding, shared.life = attempt_index, result_encoding, false
  return shared
end

-- The record of the last completion, if it got no facts beyond those of its loader.
local plain_record = false

-- Extras that many executions have, and that a completion does not change.
local COMMON = '[^' .. FIELD.tags .. FIELD.rules .. FIELD.timing .. FIELD.needs .. ']'

-- Whether an execution has nothing that its completion must remove.
local function is_plain(execution)
  if execution.extras == '' then return true end
  if execution.retries ~= '' or execution.stream or execution.kept then return false end
  -- In the timing of an attempt, its end has no meaning without an owner.
  if execution.timing ~= '' and execution.attempt_timeout_remaining_ms ~= '' then return false end
  return not (ff.is_held(execution) or ff.is_member(execution))
end

-- The admission that a worker will give back itself, and its text; false when there is none. Nil when it is to be
-- returned at once, because an operator completes the work, of which no worker may be left.
local function admission_of(call, group, execution)
  if execution.extras == '' or group.by_operator then return nil end
  return ff.bound_admission(call, execution)
end

local function lacks_result(execution, place, text)
  return ff.is_staged(place) and ff.lacks_bytes(ff.result_key(execution), place, text)
end

-- Remembers the decision on a plain completion for executions that are like it.
local function note_plain(group, execution, purge_at, purge_text)
  group.purge_at, group.purge_text, group.life, group.of_member = purge_at, purge_text, false, false
  local extras = execution.extras
  if extras ~= '' and string.find(extras, COMMON) then return end
  -- The times of an attempt were read into the record.
  if execution.timing == '' then plain_record = execution end
  group.life, group.rules, group.timing = execution.life, execution.rules, execution.timing
end

function ff.decide.complete_execution(call, group, execution_id, fence, result_payload_at, result_payload)
  local record = plain_record
  plain_record = false
  local execution = load(call, execution_id, record)
  if not execution then return ff.reject('execution_not_found') end
  if execution.life == group.life and execution.rules == group.rules and execution.timing == group.timing
    and fence == execution.fence and fence ~= '' then
    -- Only its fence differs.
    if lacks_result(execution, result_payload_at, result_payload) then return LIMIT.not_staged end
    plain_record = execution
    if group.of_member then
      return KIND.completed, ff.apply.member_completion, execution, group.purge_text, result_payload_at, result_payload,
        group.result_encoding
    end
    local admission_id, admission = admission_of(call, group, execution)
    return KIND.completed, ff.apply.plain_completion, execution, group, result_payload_at, result_payload, admission_id, admission
  end
  if fence ~= execution.fence or fence == '' then
    ff.check_fence(execution)
    local malformed = ff.fence_shape(fence, group.source, execution)
    if malformed then return malformed end
  end
  if execution.situation == SITUATION.completed and ff.was_last_owner(execution, fence) then
    ff.discard_bytes(ff.result_key(execution), result_payload_at)
    return KIND.completed
  end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  if lacks_result(execution, result_payload_at, result_payload) then return LIMIT.not_staged end
  if IS_MEMBER_ALONE[execution.extras] then
    local _, purge_text = ff.check_ending(call, execution)
    group.life, group.rules, group.timing, group.purge_text, group.of_member = execution.life, '', '', purge_text, true
    plain_record = execution
    return KIND.completed, ff.apply.member_completion, execution, purge_text, result_payload_at, result_payload,
      group.result_encoding
  end
  local admission_id, admission = admission_of(call, group, execution)
  local purge_at, purge_text = ff.check_ending(call, execution)
  if is_plain(execution) then
    note_plain(group, execution, purge_at, purge_text)
    return KIND.completed, ff.apply.plain_completion, execution, group, result_payload_at, result_payload, admission_id, admission
  end
  execution.admission_id, execution.admission = admission_id, admission
  return KIND.completed, ff.apply.execution_completed, execution, purge_at, purge_text, result_payload_at, result_payload,
    group.result_encoding
end
