-- The verdict on a caller that says it owns an execution; the twin of model/lease/fence.ts.
-- A fence is three arguments, lease_id, lease_epoch and attempt_id, each of which can be absent.

-- 'none', 'partial' or 'full'.
function ff.fence_presence(lease_id, lease_epoch, attempt_id)
  local lease = lease_id ~= nil and lease_id ~= ''
  local epoch = lease_epoch ~= nil and lease_epoch ~= ''
  local attempt = attempt_id ~= nil and attempt_id ~= ''
  if lease and epoch and attempt then return 'full' end
  return (lease or epoch or attempt) and 'partial' or 'none'
end

-- Refuses a fence that is incomplete, or absent without an operator's authority.
function ff.fence_shape(source, lease_id, lease_epoch, attempt_id)
  local presence = ff.fence_presence(lease_id, lease_epoch, attempt_id)
  if presence == 'partial' then return ff.reject('partial_fence_triple') end
  if presence == 'none' and source ~= 'operator_override' then return ff.reject('fence_required') end
  return nil
end

-- Refuses a claimant that does not own the execution at this moment. Needs what `ff.not_active` needs, dueAt and
-- currentLeaseId loaded.
function ff.ownership_verdict(call, execution, attempt_index, lease_id, lease_epoch, attempt_id)
  local situation = execution.situation
  if not ff.is_active(situation) then return ff.not_active(execution) end
  if situation == 'lease_revoked' then return ff.reject('lease_revoked') end
  if tonumber(execution.dueAt) <= call.now then return ff.reject('lease_expired') end
  local index = tonumber(attempt_index)
  if index and index ~= ff.count(execution.totalAttemptCount) - 1 then return ff.reject('stale_lease') end
  if ff.holds_lease(execution, lease_id, lease_epoch, attempt_id) then return nil end
  return ff.fence_presence(lease_id, lease_epoch, attempt_id) == 'full' and ff.reject('stale_lease') or nil
end

function ff.holds_lease(execution, lease_id, lease_epoch, attempt_id)
  return lease_id == execution.currentLeaseId and ff.was_last_owner(execution, lease_epoch, attempt_id)
end

-- Whether nobody has owned the execution since this owner.
function ff.was_last_owner(execution, lease_epoch, attempt_id)
  return attempt_id == execution.currentAttemptId and lease_epoch == execution.currentLeaseEpoch and attempt_id ~= nil
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
