-- What each event of a lease does. The twins of model/lease/recipes.ts.

local apply = ff.apply

-- Makes a worker the owner. Needs the facts of `ff.CLAIM_FIELDS` loaded.
local function acquire(call, change, event)
  local execution = change.execution
  ff.dequeue(call, execution)
  if execution.situation == 'lease_revoked' then ff.forget(execution, D.leaseRevokeReason) end
  ff.become(call, change, 'running', event.lease_expires_at)
  ff.clear(change, 'nextAttempt', 'attemptTimeoutRemainingMs', 'leaseLastRenewedAt')
  if event.attempt_timeout_at then
    ff.set(change, 'attemptTimeoutAt', event.attempt_timeout_at)
  else
    ff.clear(change, 'attemptTimeoutAt')
  end
  ff.set(change, 'currentAttemptId', event.attempt_id)
  ff.set(change, 'currentLeaseId', event.lease_id)
  ff.set(change, 'currentLeaseEpoch', event.lease_epoch)
  ff.set(change, 'currentWorkerId', event.worker_id)
  ff.set(change, 'currentWorkerInstanceId', event.worker_instance_id)
end

local function append_acquisition(call, event_type, execution, event)
  ff.append(call, event_type, execution.id, {
    'attempt_type', event.attempt_type, 'attempt_id', event.attempt_id, 'attempt_index', event.attempt_index,
    'lease_id', event.lease_id, 'lease_epoch', event.lease_epoch, 'lease_expires_at', event.lease_expires_at,
    'worker_id', event.worker_id, 'worker_instance_id', event.worker_instance_id,
    'attempt_timeout_at', event.attempt_timeout_at,
  }, 18)
end

function apply.execution_claimed(call, execution, event)
  local change = ff.change(execution)
  acquire(call, change, event)
  ff.set(change, 'totalAttemptCount', event.attempt_index + 1)
  if not execution.startedAt then ff.set(change, 'startedAt', call.now) end
  if event.attempt_type == 'reclaim' then ff.set(change, 'leaseReclaimCount', ff.count(execution.leaseReclaimCount) + 1) end
  -- Progress belongs to an attempt, not to the execution.
  if execution.progressUpdatedAt then
    ff.clear(change, 'progressUpdatedAt', 'progressPct')
    ff.forget(execution, D.progressMessage)
  end
  ff.write(change)
  ff.set_timer(call, execution)
  append_acquisition(call, 'execution_claimed', execution, event)
end

function apply.execution_resumed(call, execution, event)
  local change = ff.change(execution)
  acquire(call, change, event)
  ff.write(change)
  ff.set_timer(call, execution)
  append_acquisition(call, 'execution_resumed', execution, event)
end

function apply.lease_renewed(call, execution, event)
  local change = ff.change(execution)
  ff.set(change, 'dueAt', event.lease_expires_at)
  ff.set(change, 'leaseLastRenewedAt', call.now)
  ff.write(change)
  ff.set_timer(call, execution)
  ff.append(call, 'lease_renewed', execution.id, { 'lease_expires_at', event.lease_expires_at }, 2)
end

-- The lease is over for its owner; the execution waits to be reclaimed.
local function lapse(call, execution, situation)
  local change = ff.change(execution)
  ff.become(call, change, situation, execution.dueAt)
  ff.write(change)
  ff.enqueue_reclaimable(call, execution)
  ff.set_timer(call, execution)
end

function apply.lease_expired(call, execution)
  lapse(call, execution, 'lease_expired')
  ff.append(call, 'lease_expired', execution.id, {}, 0)
end

function apply.lease_revoked(call, execution, event)
  lapse(call, execution, 'lease_revoked')
  ff.note(execution, D.leaseRevokeReason, event.reason)
  ff.append(call, 'lease_revoked', execution.id, { 'reason', event.reason }, 2)
end

function apply.lease_released(call, execution, event)
  local change = ff.change(execution)
  ff.release_lease(change)
  ff.become(call, change, 'ready', nil)
  ff.set(change, 'nextAttempt', 'resume')
  ff.set(change, 'leaseReleaseCount', ff.count(execution.leaseReleaseCount) + 1)
  if event.remaining_ms then ff.set(change, 'attemptTimeoutRemainingMs', event.remaining_ms) end
  ff.write(change)
  execution.dueAt = nil
  ff.enqueue_ready(call, execution)
  ff.set_timer(call, execution)
  ff.append(call, 'lease_released', execution.id, { 'attempt_timeout_remaining_ms', event.remaining_ms }, 2)
end
