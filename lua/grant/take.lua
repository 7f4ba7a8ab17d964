-- How a worker takes an execution by its id; the twin of the shared part of model/grant/claim.ts.

-- The new owner, which the claims of one call share, in the form that the event of an acquisition needs.
function ff.new_owner(call, worker, lane_id, lease_ttl_ms)
  local expires_at = ff.digits(call.now + lease_ttl_ms)
  return {
    worker = worker, worker_fits = false, lane_id = lane_id, expires_at = expires_at, ahead = false,
    lease = worker .. '\t' .. expires_at,
  }
end

-- The fault of a claimant's grant: 'none', 'over', or nil. Needs grant loaded. `any_instance`: also accepts a strict
-- grant of another instance.
function ff.fault_of_grant(call, execution, owner, grant_id, any_instance)
  if not ff.is_granted(execution) then return 'none' end
  ff.read_grant(execution)
  local worker_id, instance_id = string.match(owner.worker, '^([^\t]*)\t([^\t]*)$')
  if execution.grant_worker_id ~= worker_id or (grant_id ~= '' and grant_id ~= execution.grant_id) then
    return 'none'
  end
  if execution.grant_is_strict ~= '' and not any_instance and execution.grant_worker_instance_id ~= instance_id then
    return 'none'
  end
  return ff.count(execution.grant_expires_at) < call.now and 'over' or nil
end

-- Whether an earlier run of this call took the execution, and its lease is in force. Answers the parts of its fence
-- too.
function ff.is_owned_by(call, execution, lease_id)
  if execution.situation ~= SITUATION.running or ff.has_passed(call, execution.due_at) then return false end
  local lease, attempt = string.match(execution.fence, '^%d+\t([^\t]*)\t([^\t]*)$')
  return lease == lease_id, attempt
end

-- The type of the attempt that the last claim started. The counts of a run start again with every replay.
local function type_of(execution, kind)
  if kind == CLAIM.reclaimed then return ATTEMPT.reclaim end
  if kind == CLAIM.resumed then return '' end
  ff.read_retries(execution)
  ff.read_edits(execution)
  if execution.retry_count ~= '' then return ATTEMPT.retry end
  return execution.replay_count ~= '' and ATTEMPT.replay or ''
end

-- The answer to that earlier call. Needs timing, bounds, tags, retries, edits and input loaded.
function ff.taken_before(execution, kind)
  if execution.input == LIMIT.spilled then ff.load_input(execution, false) end
  ff.read_timing(execution)
  local index = ff.count(execution.total_attempt_count) - 1
  local reply = { KIND.claimed, execution.due_at }
  ff.tell_claim(reply, 2, execution, {
    kind = kind, attempt_type = type_of(execution, kind), fence = execution.fence, index = ff.digits(index),
    timeout_at = execution.attempt_timeout_at, remaining_ms = execution.attempt_timeout_remaining_ms,
    earlier = string.match(execution.fence, '^1\t') and '' or ff.earlier_of(execution),
  })
  return reply
end

local function become_owner(call, owner, take)
  ff.apply.acquired(call, owner, take)
end

-- Makes the caller the owner: the answer, and the step. Needs everything loaded that a claim reads.
function ff.take_over(call, execution, owner, lease_id, attempt_id)
  if execution.input == LIMIT.spilled then ff.load_input(execution, false) end
  ff.timers_of(call)
  local _, lane_id, execution_kind = ff.split_naming(execution.naming)
  execution.queue = ff.queue_of(call, lane_id, execution.needs, execution_kind)
  local take
  if execution.total_attempt_count == '' then
    take = ff.take_first(call, owner, execution, lease_id .. '\t' .. attempt_id)
  else
    take = ff.take_again(call, owner, execution, lease_id .. '\t' .. attempt_id)
  end
  local reply = { KIND.claimed, owner.expires_at }
  ff.tell_claim(reply, 2, execution, take)
  return reply, become_owner, owner, take
end
