-- claim_for_worker: partition, lane_id, worker_id, worker_instance_id, worker_capabilities, lease_ttl_ms,
-- claims (count, then lease_id and attempt_id of each)
--
-- Everything is read before anything is written: the queues, the executions they name, their payloads.

local FIELDS = ff.fields('executionKind', 'payloadBytes', 'payloadEncoding', 'tagCount', 'nextAttempt', 'totalAttemptCount',
  'currentAttemptId', 'currentLeaseEpoch', 'startedAt', 'executionDeadlineAt', 'rules', 'attemptTimeoutRemainingMs',
  'progressUpdatedAt', 'leaseReclaimCount', 'requiredCapabilities')

-- What only reclaimed work needs besides.
local RECLAIM_FIELDS = ff.fields('leaseLastRenewedAt', 'attemptTimeoutAt', 'progressPct')

local function covers(offered, requirements)
  for token in string.gmatch(requirements, '[^,]+') do
    if not offered[token] then return false end
  end
  return true
end

-- The requirement sets of the lane's queues that this worker can serve; the empty set comes first.
local function served_sets(call, lane_id, capabilities)
  local sets = { '' }
  if capabilities == '' then return sets end
  local offered = {}
  for token in string.gmatch(capabilities, '[^,]+') do offered[token] = true end
  local waiting = server.call('SMEMBERS', call.base .. K.requirementSets .. lane_id)
  for i = 1, #waiting do
    if covers(offered, waiting[i]) then sets[#sets + 1] = waiting[i] end
  end
  return sets
end

local function by_position(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return a.id < b.id
end

-- Ids of the best work of the lane, at most `limit`, in the order of their scores.
local function candidates(call, lane_id, capabilities, limit)
  local sets = served_sets(call, lane_id, capabilities)
  if not sets[2] then return server.call('ZRANGE', ff.queue_key(call, lane_id, ''), 0, limit - 1) end
  local heads = {}
  for i = 1, #sets do
    local entries = server.call('ZRANGE', ff.queue_key(call, lane_id, sets[i]), 0, limit - 1, 'WITHSCORES')
    for j = 1, #entries, 2 do heads[#heads + 1] = { id = entries[j], score = tonumber(entries[j + 1]) } end
  end
  table.sort(heads, by_position)
  local ids = {}
  for i = 1, math.min(limit, #heads) do ids[i] = heads[i].id end
  return ids
end

-- Loads a candidate with what its owner needs.
local function load_candidate(call, lane_id, execution_id)
  local execution = ff.load(call, execution_id, FIELDS)
  if not execution then ff.broken(execution_id .. ' is queued but does not exist') end
  execution.laneId = lane_id
  if ff.is_reclaimable(execution.situation) then
    local more = ff.load(call, execution_id, RECLAIM_FIELDS)
    execution.leaseLastRenewedAt = more.leaseLastRenewedAt
    execution.attemptTimeoutAt = more.attemptTimeoutAt
    execution.progressPct = more.progressPct
  elseif execution.progressUpdatedAt then
    execution.progressPct = ff.load(call, execution_id, RECLAIM_FIELDS).progressPct
  end
  execution.payload = execution.payloadBytes and server.call('GET', execution.key .. X.payload) or ''
  execution.tags = execution.tagCount and server.call('HGET', execution.key .. X.details, D.tags) or ''
  return execution
end

local function exceeds_reclaim_cap(execution)
  if not ff.is_reclaimable(execution.situation) then return false end
  local cap = ff.rules(execution.rules).max_reclaim_count or L.defaultMaxReclaimCount
  return ff.count(execution.leaseReclaimCount) >= cap
end

-- Takes one execution for the worker and answers it in the form of the outcome.
local function take(call, execution, owner, ids)
  local reclaimed = ff.is_reclaimable(execution.situation)
  local resumed = not reclaimed and execution.nextAttempt == 'resume'
  local attempts = ff.count(execution.totalAttemptCount)
  local timeout_ms
  if resumed then
    timeout_ms = tonumber(execution.attemptTimeoutRemainingMs)
  elseif execution.rules then
    timeout_ms = ff.rules(execution.rules).attempt_timeout_ms
  end
  local event = {
    lease_id = ids.lease_id,
    lease_epoch = ff.count(execution.currentLeaseEpoch) + 1,
    lease_expires_at = call.now + owner.lease_ttl_ms,
    attempt_id = resumed and execution.currentAttemptId or ids.attempt_id,
    attempt_index = resumed and attempts - 1 or attempts,
    attempt_timeout_at = timeout_ms and call.now + timeout_ms,
    worker_id = owner.worker_id,
    worker_instance_id = owner.worker_instance_id,
  }
  if not resumed then
    event.attempt_type = reclaimed and 'reclaim' or execution.nextAttempt == 'retry' and 'retry' or 'initial'
  end
  local kind = reclaimed and 'reclaimed' or resumed and 'resumed' or 'fresh'
  ff.apply[resumed and 'execution_resumed' or 'execution_claimed'](call, execution, event)
  return {
    execution.id, event.lease_id, event.lease_epoch, event.attempt_index, event.attempt_id, kind,
    event.attempt_type or ff.NONE, event.lease_expires_at, event.attempt_timeout_at or ff.NONE,
    execution.executionDeadlineAt or ff.NONE, execution.executionKind, execution.payloadEncoding or ff.NONE,
    execution.tags, execution.payload,
  }
end

function ff.operations.claim_for_worker(call)
  ff.text(call) -- the partition, which the keys name already
  local lane_id = ff.text(call)
  local owner = { worker_id = ff.text(call), worker_instance_id = ff.text(call) }
  local capabilities = ff.text(call)
  owner.lease_ttl_ms = ff.number(call)
  local wanted = ff.number(call)
  local claims = {}
  for i = 1, wanted do claims[i] = { lease_id = ff.text(call), attempt_id = ff.text(call) } end

  local found = candidates(call, lane_id, capabilities, wanted)
  for i = 1, #found do found[i] = load_candidate(call, lane_id, found[i]) end

  local taken, capped = {}, {}
  for i = 1, #found do
    local execution = found[i]
    if exceeds_reclaim_cap(execution) then
      ff.apply.execution_failed(call, execution, {
        failure_reason = L.maxReclaimsExceeded, failure_category = L.maxReclaimsExceeded, purge_at = ff.purge_at(call, execution),
      })
      capped[#capped + 1] = execution.id
    else
      taken[#taken + 1] = take(call, execution, owner, claims[#taken + 1])
    end
  end
  if #taken == 0 then return ff.accept('no_work', capped) end
  return ff.accept('claimed', taken, capped)
end
