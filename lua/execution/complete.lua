-- complete_execution: see model/execution/complete.ts

local load_any = ff.refilling_loader('naming', 'bounds', 'fence', 'timing', 'retries', 'rules', 'streams')
-- The same, of members.
local load_member = ff.refilling_loader('naming', 'bounds', 'fence', 'timing', 'retries', 'rules', 'streams',
  'with:membership')

-- The extras of members that have nothing else: most have none but these.
local IS_MEMBER_ALONE = {
  [FIELD.membership] = true, [FIELD.membership .. FIELD.group] = true, [FIELD.group .. FIELD.membership] = true,
}

-- What completions share: one table for all groups, which run one after another. With it is the last one of its group that
-- left nothing but its time: the life that it had, and when it is purged.
local shared = { source = '', attempt_index = '', result_encoding = '', life = false, purge_at = false, purge_text = '' }

function ff.prepare.complete_execution(_, source, attempt_index, result_encoding)
  shared.source, shared.attempt_index, shared.result_encoding, shared.life = source, attempt_index, result_encoding, false
  return shared
end

-- The record of the last completion, if it got no facts but those that its loader gave it; and whether it was of a member:
-- what is completed together is mostly alike.
local plain_record, was_member = false, false

function ff.decide.complete_execution(call, group, execution_id, fence, result_payload_at, result_payload)
  local record = plain_record
  plain_record = false
  local execution = was_member and load_member(call, execution_id) or load_any(call, execution_id, record)
  -- One that has the life of the one before is decided as that was: its fence alone is its own.
  if record and execution and execution.life == group.life and fence ~= '' and fence == execution.fence
    and result_payload_at == '' then
    plain_record = execution
    return KIND.completed, ff.apply.plain_completion, execution, group.purge_at, group.purge_text
  end
  if not execution then return ff.reject('execution_not_found') end
  was_member = ff.is_member(execution)
  if fence ~= execution.fence or fence == '' then
    ff.check_fence(execution)
    local malformed = ff.fence_shape(fence, group.source, execution)
    if malformed then return malformed end
  end
  if execution.situation == SITUATION.completed and ff.was_last_owner(execution, fence) then return KIND.completed end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  if result_payload_at ~= '' and ff.lacks_bytes(ff.result_key(execution), result_payload_at, result_payload) then
    return LIMIT.not_staged
  end
  if IS_MEMBER_ALONE[execution.extras] then
    local _, purge_text = ff.check_ending(call, execution)
    return KIND.completed, ff.apply.member_completion, execution, purge_text, result_payload_at, result_payload,
      group.result_encoding
  end
  if execution.extras ~= '' then execution.by_operator = group.source == 'operator_override' end
  local purge_at, purge_text = ff.check_ending(call, execution)
  if result_payload_at == '' and group.result_encoding == '' and execution.timing == '' and execution.retries == ''
    and (execution.extras == '' or not (ff.is_held(execution) or ff.is_member(execution)))
    and not execution.stream and not execution.kept then
    if execution.extras == '' then
      plain_record, group.life, group.purge_at, group.purge_text = execution, execution.life, purge_at, purge_text
    end
    return KIND.completed, ff.apply.plain_completion, execution, purge_at, purge_text
  end
  return KIND.completed, ff.apply.execution_completed, execution, purge_at, purge_text, result_payload_at, result_payload,
    group.result_encoding
end
