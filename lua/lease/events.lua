-- What each event of a lease does. The twins of model/lease/recipes.ts.

local apply = ff.apply

-- Makes a worker the owner: writes what a new lease always sets. What follows are more fields.
local function acquire(call, execution, event, ...)
  if execution.situation == 'lease_revoked' then ff.forget(execution, D.leaseRevokeReason) end
  execution.situation = 'running'
  execution.dueAt = event.lease_expires_at
  execution.attemptTimeoutAt = event.attempt_timeout_at
  store('HSET', execution.key, F.situation, 'running', F.dueAt, event.lease_expires_at, F.lastTransitionAt, call.now,
    F.currentAttemptId, event.attempt_id, F.currentLeaseId, event.lease_id, F.currentLeaseEpoch, event.lease_epoch,
    F.currentWorker, event.worker, ...)
end

-- Unsets what an earlier lease, attempt or wait left. Needs these facts loaded.
local function clear_earlier(execution)
  local change = ff.change(execution)
  ff.clear(change, 'nextAttempt')
  ff.clear(change, 'attemptTimeoutRemainingMs')
  ff.clear(change, 'leaseLastRenewedAt')
  ff.clear(change, 'attemptTimeoutAt')
  if change.size > 2 then ff.write(change) end
end

local function append_acquisition(call, event_type, execution, event, ...)
  ff.append(call, event_type, execution.id, 'attempt_id', event.attempt_id, 'attempt_index', event.attempt_index,
    'lease_id', event.lease_id, 'lease_epoch', event.lease_epoch, 'lease_expires_at', event.lease_expires_at,
    'worker_id', event.worker_id, 'worker_instance_id', event.worker_instance_id, ...)
end

-- The two events of an acquisition leave the queue and the timers to the claim, which does it for many at once.

function apply.execution_claimed(call, execution, event)
  local attempts = event.attempt_index + 1
  if event.attempt_index > 0 then
    clear_earlier(execution)
    if event.attempt_type == 'reclaim' then store('HSET', execution.key, F.leaseReclaimCount, ff.count(execution.leaseReclaimCount) + 1) end
    -- Progress belongs to an attempt, not to the execution.
    if execution.progressUpdatedAt then
      store('HSET', execution.key, F.progressUpdatedAt, '', F.progressPct, '')
      ff.forget(execution, D.progressMessage)
    end
    acquire(call, execution, event, F.totalAttemptCount, attempts)
  else
    acquire(call, execution, event, F.totalAttemptCount, attempts, F.startedAt, call.now)
  end
  if event.attempt_timeout_at then
    store('HSET', execution.key, F.attemptTimeoutAt, event.attempt_timeout_at)
    append_acquisition(call, 'execution_claimed', execution, event, 'attempt_type', event.attempt_type,
      'attempt_timeout_at', event.attempt_timeout_at)
  else
    append_acquisition(call, 'execution_claimed', execution, event, 'attempt_type', event.attempt_type)
  end
end

function apply.execution_resumed(call, execution, event)
  clear_earlier(execution)
  acquire(call, execution, event, ff.present({ F.attemptTimeoutAt, event.attempt_timeout_at }, 2))
  append_acquisition(call, 'execution_resumed', execution, event,
    ff.present({ 'attempt_timeout_at', event.attempt_timeout_at }, 2))
end

function apply.lease_renewed(call, execution, event)
  local change = ff.change(execution)
  ff.set(change, 'dueAt', event.lease_expires_at)
  ff.set(change, 'leaseLastRenewedAt', call.now)
  ff.write(change)
  ff.set_timer(call, execution)
  ff.append(call, 'lease_renewed', execution.id, 'lease_expires_at', event.lease_expires_at)
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
  ff.append(call, 'lease_expired', execution.id)
end

function apply.lease_revoked(call, execution, event)
  lapse(call, execution, 'lease_revoked')
  ff.note(execution, D.leaseRevokeReason, event.reason)
  ff.append(call, 'lease_revoked', execution.id, 'reason', event.reason)
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
  ff.append(call, 'lease_released', execution.id,
    ff.present({ 'attempt_timeout_remaining_ms', event.remaining_ms }, 2))
end
