-- The verdict on a caller that says it owns an execution; the twin of model/lease/fence.ts.
-- A fence is { lease_id, lease_epoch, attempt_id }, each nil when absent.

function ff.read_fence(call)
  local lease_id, lease_epoch, attempt_id = ff.take(call, 3)
  return {
    lease_id = lease_id ~= '' and lease_id or nil,
    lease_epoch = lease_epoch ~= '' and lease_epoch or nil,
    attempt_id = attempt_id ~= '' and attempt_id or nil,
  }
end

-- 'none', 'partial' or 'full'.
function ff.fence_presence(fence)
  local members = (fence.lease_id and 1 or 0) + (fence.lease_epoch and 1 or 0) + (fence.attempt_id and 1 or 0)
  return members == 0 and 'none' or members == 3 and 'full' or 'partial'
end

-- Refuses a fence that is incomplete, or absent without an operator's authority.
function ff.fence_shape(fence, source)
  local presence = ff.fence_presence(fence)
  if presence == 'partial' then return ff.reject('partial_fence_triple') end
  if presence == 'none' and source ~= 'operator_override' then return ff.reject('fence_required') end
  return nil
end

-- Refuses a claimant that does not own the execution at this moment. Needs what `ff.not_active` needs, dueAt and
-- currentLeaseId loaded.
function ff.ownership_verdict(call, execution, fence, attempt_index)
  if not ff.is_active(execution.situation) then return ff.not_active(execution) end
  if execution.situation == 'lease_revoked' then return ff.reject('lease_revoked') end
  if tonumber(execution.dueAt) <= call.now then return ff.reject('lease_expired') end
  if attempt_index and attempt_index ~= ff.count(execution.totalAttemptCount) - 1 then return ff.reject('stale_lease') end
  if ff.fence_presence(fence) == 'full' and not ff.holds_lease(execution, fence) then return ff.reject('stale_lease') end
  return nil
end

function ff.holds_lease(execution, fence)
  return fence.lease_id == execution.currentLeaseId and ff.was_last_owner(execution, fence)
end

-- Whether nobody has owned the execution since this owner.
function ff.was_last_owner(execution, fence)
  return fence.attempt_id ~= nil and fence.attempt_id == execution.currentAttemptId
    and fence.lease_epoch == execution.currentLeaseEpoch
end

local PENDING = { retry = 'pending_retry_attempt', resume = 'attempt_interrupted' }
local OUTCOMES = { completed = 'success', failed = 'failed', cancelled = 'cancelled', expired = 'expired' }

-- The refusal of a call that needs an active execution, with the facts that a caller reconciles by. Needs
-- totalAttemptCount, currentLeaseEpoch and currentAttemptId loaded.
function ff.not_active(execution)
  local outcome = OUTCOMES[execution.situation]
  local attempt_state
  if outcome then
    attempt_state = execution.totalAttemptCount and 'attempt_terminal' or 'none'
  else
    attempt_state = PENDING[store('HGET', execution.key, F.nextAttempt)] or 'pending_first_attempt'
  end
  return ff.reject('execution_not_active', 'terminalOutcome', outcome or 'none', 'leaseEpoch', execution.currentLeaseEpoch or '0',
    'lifecyclePhase', outcome and 'terminal' or 'runnable', 'attemptId', execution.currentAttemptId or '',
    'attemptState', attempt_state)
end
