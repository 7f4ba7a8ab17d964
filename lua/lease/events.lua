-- What each event of a lease does. The twins of model/lease/recipes.ts.

-- An acquisition is an owner, which is the same for all that a claim takes (worker, worker_id, worker_instance_id,
-- lease_expires_at), and what the execution gets: its lease, its attempt, and the end of the attempt's time, or nil.

-- Makes a worker the owner: writes what a new lease always sets. What follows are more fields.
local function acquire(call, execution, owner, lease_id, lease_epoch, attempt_id, ...)
  if execution.situation == 'lease_revoked' then ff.forget(execution, D.leaseRevokeReason) end
  execution.situation = 'running'
  execution.dueAt = owner.lease_expires_at
  store('HSET', execution.key, F.situation, 'running', F.dueAt, owner.lease_expires_at, F.lastTransitionAt, call.now,
    F.currentAttemptId, attempt_id, F.currentLeaseId, lease_id, F.currentLeaseEpoch, lease_epoch,
    F.currentWorker, owner.worker, ...)
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

local function append_acquisition(call, event_type, execution, owner, lease_id, lease_epoch, attempt_id, attempt_index, ...)
  ff.append(call, event_type, execution.id, 'attempt_id', attempt_id, 'attempt_index', attempt_index,
    'lease_id', lease_id, 'lease_epoch', lease_epoch, 'lease_expires_at', owner.lease_expires_at,
    'worker_id', owner.worker_id, 'worker_instance_id', owner.worker_instance_id, ...)
end

-- The two events of an acquisition leave the queue and the timers to the claim, which does it for many at once.

function ff.apply.execution_claimed(call, execution, owner, lease_id, lease_epoch, attempt_id, attempt_index, attempt_type, timeout_at)
  local attempts = attempt_index + 1
  if attempt_index > 0 then
    clear_earlier(execution)
    if attempt_type == 'reclaim' then store('HSET', execution.key, F.leaseReclaimCount, ff.count(execution.leaseReclaimCount) + 1) end
    -- Progress belongs to an attempt, not to the execution.
    if execution.progressUpdatedAt then
      store('HSET', execution.key, F.progressUpdatedAt, '', F.progressPct, '')
      ff.forget(execution, D.progressMessage)
    end
    acquire(call, execution, owner, lease_id, lease_epoch, attempt_id, F.totalAttemptCount, attempts)
  else
    acquire(call, execution, owner, lease_id, lease_epoch, attempt_id, F.totalAttemptCount, attempts, F.startedAt, call.now)
  end
  execution.attemptTimeoutAt = timeout_at
  if timeout_at then
    store('HSET', execution.key, F.attemptTimeoutAt, timeout_at)
    append_acquisition(call, 'execution_claimed', execution, owner, lease_id, lease_epoch, attempt_id, attempt_index,
      'attempt_type', attempt_type, 'attempt_timeout_at', timeout_at)
  else
    append_acquisition(call, 'execution_claimed', execution, owner, lease_id, lease_epoch, attempt_id, attempt_index,
      'attempt_type', attempt_type)
  end
end

function ff.apply.execution_resumed(call, execution, owner, lease_id, lease_epoch, attempt_id, attempt_index, timeout_at)
  clear_earlier(execution)
  acquire(call, execution, owner, lease_id, lease_epoch, attempt_id, ff.present({ F.attemptTimeoutAt, timeout_at }, 2))
  execution.attemptTimeoutAt = timeout_at
  append_acquisition(call, 'execution_resumed', execution, owner, lease_id, lease_epoch, attempt_id, attempt_index,
    ff.present({ 'attempt_timeout_at', timeout_at }, 2))
end

function ff.apply.lease_renewed(call, execution, event)
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

function ff.apply.lease_expired(call, execution)
  lapse(call, execution, 'lease_expired')
  ff.append(call, 'lease_expired', execution.id)
end

function ff.apply.lease_revoked(call, execution, event)
  lapse(call, execution, 'lease_revoked')
  ff.note(execution, D.leaseRevokeReason, event.reason)
  ff.append(call, 'lease_revoked', execution.id, 'reason', event.reason)
end

function ff.apply.lease_released(call, execution, event)
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
