-- The verdict on a caller that claims to own an execution; the twin of model/lease/fence.ts. A fence is one text in its
-- stored form: epoch, lease and attempt; empty when the caller gave none.

-- The lease of a stored fence, or of a part without its epoch; empty without one. Ids have one length, and a pattern costs
-- as much as a command.
function ff.lease_of(fence)
  return string.sub(fence, -2 * LIMIT.id_length - 1, -LIMIT.id_length - 2)
end

-- 'none', 'partial' or 'full'.
local function presence_of(fence)
  if fence == '' then return 'none' end
  return string.find(fence, '^%d+\t[^\t]+\t[^\t]+$') and 'full' or 'partial'
end

-- A stored fence that differs from the caller's may be unreadable.
function ff.check_fence(execution)
  local fence = execution.fence
  if fence ~= '' and not string.find(fence, '^%d*\t[^\t]*\t[^\t]*') then ff.damaged('fence is unreadable') end
end

-- Refuses a fence that is incomplete, or absent without an operator's authority. A stored fence is neither.
function ff.fence_shape(fence, source, execution)
  if fence ~= '' and fence == execution.fence then return nil end
  local presence = presence_of(fence)
  if presence == 'partial' then return ff.reject('partial_fence_triple') end
  if presence == 'none' and source ~= 'operator_override' then return ff.reject('fence_required') end
  return nil
end

-- Whether the triple is that of the current lease; for an active execution.
function ff.holds_lease(execution, fence)
  return fence == execution.fence
end

-- Whether no other worker has owned the execution since this owner: epoch and attempt outlive the lease. A replay ends
-- that.
function ff.was_last_owner(execution, fence)
  if fence == '' or execution.fence == '' or execution.next_attempt == NEXT.replay then return false end
  if fence == execution.fence then return true end
  local epoch, attempt = string.match(fence, '^(%d+)\t[^\t]*\t([^\t]+)$')
  if not epoch then return false end
  local current_epoch, current_attempt = string.match(execution.fence, '^(%d+)\t[^\t]*\t([^\t]+)$')
  return epoch == current_epoch and attempt == current_attempt
end

-- Whether a parked attempt may continue, and nobody has taken it since; the twin of `hasReturned`.
function ff.has_returned(execution)
  return execution.next_attempt == NEXT.resume
    and (execution.situation == SITUATION.ready or ff.is_blocked(execution.situation))
end

local last_index, last_attempts

-- The number of attempts when the last one has this index. The same index is mostly requested again.
local function attempts_with(index)
  if index ~= last_index then last_index, last_attempts = index, ff.digits(index + 1) end
  return last_attempts
end

-- Refuses a claimant that does not own the execution at present. Needs fence loaded.
function ff.ownership_verdict(call, execution, fence, attempt_index)
  local situation = execution.situation
  if situation ~= SITUATION.running then
    if not ff.is_active(situation) then return ff.not_active(execution) end
    if situation == SITUATION.lease_revoked then return ff.reject('lease_revoked') end
  end
  if ff.has_passed(call, execution.due_at) then return ff.reject('lease_expired') end
  if attempt_index ~= '' and execution.total_attempt_count ~= attempts_with(attempt_index) then
    return ff.reject('stale_lease')
  end
  if fence ~= execution.fence and presence_of(fence) == 'full' then return ff.reject('stale_lease') end
  return nil
end

-- The end of an attempt and of an execution by time, recorded or not. Needs timing and bounds loaded.
function ff.time_verdict(call, execution)
  if execution.timing ~= '' then
    ff.read_timing(execution)
    local at = execution.attempt_timeout_at
    if at ~= '' and ff.has_passed(call, at) then return ff.reject('attempt_timed_out') end
  end
  if execution.bounds ~= '' then
    ff.read_bounds(execution)
    local at = execution.execution_deadline_at
    if at ~= '' and ff.has_passed(call, at) then return ff.reject('execution_deadline_passed') end
  end
  return nil
end

-- Refuses a claimant that may not work on the execution: it is not the owner, or the time is over.
function ff.work_verdict(call, execution, fence, attempt_index)
  local refusal = ff.ownership_verdict(call, execution, fence, attempt_index)
  -- Both are extras: most executions have none.
  if refusal or execution.extras == '' then return refusal end
  return ff.time_verdict(call, execution)
end

-- The refusal of a call that needs an execution in another state; the details have its state.
function ff.not_eligible(execution)
  return ff.reject('execution_not_eligible', 'lifecyclePhase', PHASE[execution.situation],
    'publicState', PUBLIC_STATE[execution.situation])
end

local PENDING = {
  [''] = 'pending_first_attempt', [NEXT.retry] = 'pending_retry_attempt', [NEXT.replay] = 'pending_replay_attempt',
  [NEXT.resume] = 'attempt_interrupted',
}

-- The refusal of a call that needs an active execution, with the facts by which a caller reconciles. Needs fence
-- loaded.
function ff.not_active(execution)
  local outcome = TERMINAL_OUTCOME[execution.situation]
  local attempt_state
  if outcome then
    attempt_state = execution.total_attempt_count ~= '' and 'attempt_terminal' or 'none'
  else
    attempt_state = PENDING[execution.next_attempt]
  end
  local epoch, attempt = string.match(execution.fence, '^(%d+)\t[^\t]*\t([^\t]*)$')
  return ff.reject('execution_not_active', 'terminalOutcome', outcome or 'none', 'leaseEpoch', epoch or '0',
    'lifecyclePhase', PHASE[execution.situation], 'attemptId', attempt or '', 'attemptState', attempt_state)
end
