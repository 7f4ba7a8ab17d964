-- claim_for_worker: partition, lane_id, worker_id, worker_instance_id, worker_capabilities, lease_ttl_ms, then lease_id
-- and attempt_id of each claim
--
-- Everything is read before anything is written: the queues, the executions they name, their payloads.

-- What only work that was claimed before needs besides.
local EARLIER_FIELDS = ff.fields('nextAttempt', 'currentAttemptId', 'currentLeaseEpoch', 'attemptTimeoutRemainingMs',
  'progressUpdatedAt', 'leaseReclaimCount', 'leaseLastRenewedAt', 'attemptTimeoutAt')

local function covers(offered, requirements)
  for token in string.gmatch(requirements, '[^,]+') do
    if not offered[token] then return false end
  end
  return true
end

-- The requirement sets of the lane's queues that this worker can serve; the empty set comes first.
local function served_sets(call, lane_id, capabilities)
  local sets = { '' }
  local offered = {}
  for token in string.gmatch(capabilities, '[^,]+') do offered[token] = true end
  local waiting = store('SMEMBERS', call.base .. K.requirementSets .. lane_id)
  for i = 1, #waiting do
    if covers(offered, waiting[i]) then sets[#sets + 1] = waiting[i] end
  end
  return sets
end

local function by_position(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return a.uuid < b.uuid
end

-- UUIDs of the best work of the lane, at most `limit`, in the order of their scores; and the requirement set of each,
-- or nil when it is the empty one for all.
local function candidates(call, lane_id, capabilities, limit)
  local taken = ff.taken_of(call, lane_id)
  local sets = capabilities ~= '' and served_sets(call, lane_id, capabilities)
  if not sets or not sets[2] then return store('ZRANGE', ff.queue_key(call, lane_id, ''), taken, taken + limit - 1), nil end
  if taken > 0 then ff.settle_taken(call) end
  local heads = {}
  for i = 1, #sets do
    local entries = store('ZRANGE', ff.queue_key(call, lane_id, sets[i]), 0, limit - 1, 'WITHSCORES')
    for j = 1, #entries, 2 do heads[#heads + 1] = { uuid = entries[j], score = tonumber(entries[j + 1]), set = sets[i] } end
  end
  table.sort(heads, by_position)
  local uuids, requirements = {}, {}
  for i = 1, math.min(limit, #heads) do uuids[i], requirements[i] = heads[i].uuid, heads[i].set end
  return uuids, requirements
end

-- Loads a candidate with what its owner needs, or nil when something outside removed it or has put it into the queue.
local function load_candidate(call, partition, lane_id, uuid, requirements)
  local key = call.base .. uuid
  local values = store('HMGET', key, F.situation, F.executionKind, F.payload, F.payloadEncoding, F.totalAttemptCount, F.tagCount,
    F.rules, F.executionDeadlineAt)
  local situation = values[1]
  if not ff.is_claimable(situation) then return nil end
  local execution = {
    id = partition .. ':' .. uuid, uuid = uuid, key = key, situation = situation, laneId = lane_id, requiredCapabilities = requirements,
    executionKind = values[2], payloadEncoding = values[4] or '',
    payload = values[3] or not call.leaves_payloads and store('GET', key .. X.payload),
    totalAttemptCount = values[5], tags = values[6] and store('HGET', key .. X.details, D.tags) or '',
    rules = values[7], executionDeadlineAt = values[8] or nil,
  }
  if values[5] then
    local earlier = ff.load(call, uuid, EARLIER_FIELDS)
    for i = 2, #EARLIER_FIELDS do
      local name = EARLIER_FIELDS.names[i]
      execution[name] = earlier[name]
    end
  end
  return execution
end

local function exceeds_reclaim_cap(execution)
  if not ff.is_reclaimable(execution.situation) then return false end
  local cap = ff.rules(execution.rules).max_reclaim_count or L.defaultMaxReclaimCount
  return ff.count(execution.leaseReclaimCount) >= cap
end

-- What kind of acquisition this is: its kind for the caller, the type of its attempt, the time that the attempt has.
local function kind_of(execution)
  local timeout_ms = execution.rules and ff.rules(execution.rules).attempt_timeout_ms
  if not execution.totalAttemptCount then return 'fresh', 'initial', timeout_ms end
  if ff.is_reclaimable(execution.situation) then return 'reclaimed', 'reclaim', timeout_ms end
  if execution.nextAttempt == 'resume' then return 'resumed', nil, tonumber(execution.attemptTimeoutRemainingMs) end
  return 'fresh', execution.nextAttempt == 'retry' and 'retry' or 'initial', timeout_ms
end

-- Takes one execution for the worker and answers it in the form of the outcome: what is often absent comes last.
local function take(call, execution, owner, lease_id, attempt_id)
  local kind, attempt_type, timeout_ms = kind_of(execution)
  local attempt_index, lease_epoch = 0, 1
  if execution.totalAttemptCount then
    attempt_index = tonumber(execution.totalAttemptCount)
    lease_epoch = execution.currentLeaseEpoch + 1
  end
  local timeout_at = timeout_ms and call.now + timeout_ms or nil
  if attempt_type then
    ff.apply.execution_claimed(call, execution, owner, lease_id, lease_epoch, attempt_id, attempt_index, attempt_type, timeout_at)
  else
    attempt_id = execution.currentAttemptId
    attempt_index = attempt_index - 1
    ff.apply.execution_resumed(call, execution, owner, lease_id, lease_epoch, attempt_id, attempt_index, timeout_at)
  end
  local deadline_at, tags = execution.executionDeadlineAt, execution.tags
  if not timeout_at and not deadline_at and tags == '' then
    return {
      execution.id, lease_id, lease_epoch, attempt_index, attempt_id, kind, owner.lease_expires_at, execution.executionKind,
      execution.payload, execution.payloadEncoding, attempt_type,
    }
  end
  return {
    execution.id, lease_id, lease_epoch, attempt_index, attempt_id, kind, owner.lease_expires_at, execution.executionKind,
    execution.payload, execution.payloadEncoding, attempt_type or '', timeout_at or '', deadline_at or '', tags,
  }
end

-- Loads the candidates that are there; drops the others from their queues.
local function load_candidates(call, partition, lane_id, uuids, requirements)
  local found, gone = {}, nil
  for i = 1, #uuids do
    local set = requirements and requirements[i] or ''
    local execution = load_candidate(call, partition, lane_id, uuids[i], set)
    if execution then
      found[#found + 1] = execution
    else
      gone = gone or {}
      gone[#gone + 1] = { uuid = uuids[i], laneId = lane_id, requiredCapabilities = set }
    end
  end
  for i = 1, gone and #gone or 0 do ff.dequeue(call, gone[i]) end
  return found
end

local NONE = {}

function ff.operations.claim_for_worker(call, partition, lane_id, worker_id, worker_instance_id, capabilities, lease_ttl_ms, ...)
  local ids = { ... }
  local uuids, requirements = candidates(call, lane_id, capabilities, #ids / 2)
  if not uuids[1] then return ff.accept('no_work', NONE) end
  local found = load_candidates(call, partition, lane_id, uuids, requirements)

  local owner = {
    lease_expires_at = call.now + lease_ttl_ms, worker = worker_id .. ':' .. worker_instance_id,
    worker_id = worker_id, worker_instance_id = worker_instance_id,
  }
  local answers, capped = {}, NONE
  local count, owned = #found, 0
  for i = 1, count do
    local execution = found[i]
    if execution.totalAttemptCount and exceeds_reclaim_cap(execution) then
      ff.apply.execution_failed(call, execution, {
        failure_reason = L.maxReclaimsExceeded, failure_category = L.maxReclaimsExceeded, purge_at = ff.purge_at(call, execution),
      })
      if capped == NONE then capped = {} end
      capped[#capped + 1] = execution.id
    else
      owned = owned + 1
      found[owned] = execution
      answers[owned] = take(call, execution, owner, ids[2 * owned - 1], ids[2 * owned])
    end
  end
  if owned == 0 then return ff.accept('no_work', capped) end
  for i = owned + 1, count do found[i] = nil end
  ff.own(call, lane_id, found, requirements)
  return ff.accept('claimed', answers, capped)
end
