-- The answer to a claim: see model/schedule/claim-answer.ts

-- The row of a taken execution in the answer. Bytes that are left in their keys are empty.
function ff.tell_claim(reply, size, execution, take)
  reply[size + 1] = execution.id
  reply[size + 3], reply[size + 4], reply[size + 5] = execution.naming, execution.given, execution.input
  if not take and execution.extras ~= '' then take = execution.take end
  if not take or take.is_plain and execution.tags == '' and not take.attempt then
    -- The caller knows the rest: it passed the ids.
    reply[size + 2] = CLAIM_ROW.plain
    return size + 5
  end
  reply[size + 2] = take.kind .. take.attempt_type
  reply[size + 6], reply[size + 7], reply[size + 8] = take.fence or execution.fence, take.index, take.timeout_at
  reply[size + 9], reply[size + 10], reply[size + 11] = take.remaining_ms, execution.bounds, execution.tags
  reply[size + 12] = take.earlier
  return ff.tell_given(reply, size + 12, take.given)
end

-- The number and the ids of executions that the claim ended: those that their flow had yet to cancel, or those that
-- lapsed too often.
local function tell_ended(reply, size, plan, is_cancelled)
  local executions, takes, count_at = plan.executions, plan.takes, size + 1
  size = count_at
  for i = 1, plan.size do
    local take = takes[i]
    if take and take.is_end and (take.reason ~= nil and take.reason ~= false) == is_cancelled then
      size = size + 1
      reply[size] = executions[i].id
    end
  end
  reply[count_at] = size - count_at
  return size
end

function ff.claim_answer(group, plan)
  local executions, takes = plan.executions, plan.takes
  local reply, size, taken = { KIND.claimed, group.expires_at, 0 }, 3, 0
  for i = 1, plan.size do
    local take = takes[i]
    if not (take and take.is_end) then
      taken = taken + 1
      size = ff.tell_claim(reply, size, executions[i], take)
    end
  end
  if taken == 0 then
    reply, size = { KIND.no_work }, 1
  else
    reply[3] = taken
  end
  if taken == plan.size and not plan.broken[1] then
    reply[size + 1], reply[size + 2], reply[size + 3] = 0, 0, 0
    return reply, size + 3
  end
  size = tell_ended(reply, size, plan, false)
  size = tell_ended(reply, size, plan, true) + 1
  local broken = plan.broken
  reply[size] = #broken
  for i = 1, #broken do reply[size + i] = broken[i].id end
  return reply, size + #broken
end
