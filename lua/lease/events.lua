-- The effects of lease events. The twins of model/lease/recipes.ts.

-- Makes a worker the first owner of an execution; `execution.take` has the facts that its tags and rules add, see
-- `plain_take_of`. Its extras stay listed at the end of its life. The claim removes it from its queue, counts it and
-- sets its timer, together with the other candidates.
function ff.apply.plain_claim(call, group, execution)
  local fence, extras, times = execution.fence, execution.extras, false
  local life = group.first_life
  if extras ~= '' then
    times = execution.take.attempt
    life = life .. extras
  end
  if times then
    command('HSET', execution.key, FIELD.life, life .. FIELD.timing, FIELD.fence, fence, FIELD.worker, group.worker,
      FIELD.timing, execution.take.timing)
  else
    command('HSET', execution.key, FIELD.life, life, FIELD.fence, fence, FIELD.worker, group.worker)
  end
  if group.binding then
    ff.bind_admission(group.binding, execution, fence, group.meters)
    ff.append(call, EVENT.execution_claimed, execution.id, fence, group.lease, times or '', group.meters)
  elseif times then
    ff.append(call, EVENT.execution_claimed, execution.id, fence, group.lease, times, '')
  else
    ff.append(call, EVENT.execution_claimed, execution.id, fence, group.lease)
  end
end

-- Makes a worker the owner of a candidate, see lua/schedule/claim.lua: `take` has the facts of the claim.
function ff.apply.acquired(call, owner, take)
  local execution = take.execution
  local key, situation = execution.key, execution.situation
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.end_grant(execution)
  ff.tally(call, execution.queue.lane_id, situation, SITUATION.running)
  if execution.extras ~= '' then ff.tally_member(call, execution, situation, SITUATION.running) end
  if take.timing ~= '' then ff.note_extra(execution, FIELD.timing) end
  if take.retries ~= '' then ff.note_extra(execution, FIELD.retries) end
  local life = ff.life_text(SITUATION.running, '', owner.expires_at, call.now_text, take.started_at, take.attempts,
    execution.extras)
  local change = { key, FIELD.life, life, FIELD.fence, take.fence, FIELD.worker, ff.fit(key, FIELD.worker, owner.worker) }
  local size = 7
  if take.timing ~= execution.timing then
    change[size + 1], change[size + 2] = FIELD.timing, take.timing
    size = size + 2
  end
  if take.retries ~= execution.retries then
    change[size + 1], change[size + 2] = FIELD.retries, ff.fit(key, FIELD.retries, take.retries)
    size = size + 2
  end
  -- The delay of a retry is over; an operator can also take parked or blocked work before its time.
  if (execution.wait or '') ~= '' then change[size + 1], change[size + 2] = FIELD.wait, '' end
  command('HSET', unpack(change))
  -- Progress belongs to an attempt, not to the execution.
  if take.event == EVENT.execution_claimed and execution.progress ~= '' then
    command('HSET', key, FIELD.progress, '')
    command('HDEL', key, FIELD.progress_message)
  end
  if situation == SITUATION.lease_revoked then
    command('HDEL', key, FIELD.lease_revoke_reason)
  elseif ff.is_blocked(situation) then
    command('HDEL', key, FIELD.blocking_detail)
    ff.unshelve(call, situation, execution.id)
  end
  execution.situation, execution.due_at, execution.attempt_timeout_at = SITUATION.running, owner.expires_at, take.timeout_at
  ff.set_timer(call, execution)
  local meters = owner.meters or ''
  if meters ~= '' then ff.bind_admission(owner.binding, execution, take.fence, meters) end
  if take.attempt == '' and meters == '' then
    ff.append(call, take.event, execution.id, take.fence, owner.lease)
  else
    ff.append(call, take.event, execution.id, take.fence, owner.lease, take.attempt, meters)
  end
  -- An attempt that is resumed goes on, and so does its stream. A first claim ends no attempt.
  if take.event == EVENT.execution_claimed and take.attempts ~= '1' then ff.close_stream(call, execution, CLOSED.reclaimed) end
end

function ff.apply.attempt_begun(call, execution, timeout_at)
  ff.read_timing(execution)
  execution.attempt_timeout_at = timeout_at
  command('HSET', execution.key, FIELD.timing, ff.timing_text(timeout_at, '', execution.lease_last_renewed_at))
  ff.set_timer(call, execution)
  ff.append(call, EVENT.attempt_begun, execution.id, timeout_at, '')
end

function ff.apply.lease_renewed(call, execution, expires_at)
  ff.read_timing(execution)
  ff.note_extra(execution, FIELD.timing)
  execution.due_at = expires_at
  command('HSET', execution.key,
    FIELD.life, ff.life_text(execution.situation, '', expires_at, execution.last_transition_at, execution.started_at,
      execution.total_attempt_count, execution.extras),
    FIELD.timing, ff.timing_text(execution.attempt_timeout_at, execution.attempt_timeout_remaining_ms, call.now_text))
  ff.set_timer(call, execution)
  ff.append(call, EVENT.lease_renewed, execution.id, expires_at, '')
end

local function retries_of(execution)
  return ff.fit(execution.key, FIELD.retries, ff.retries_text(execution.retry_count, execution.lease_reclaim_count,
    execution.lease_release_count, execution.failure_category, execution.recent_loss_count, execution.last_lost_at,
    execution.lost_lease_ms))
end

-- Ends the lease of an owner; the execution waits to be reclaimed. The further arguments are fields and values. Needs
-- timing and retries loaded.
local function lapse(call, execution, situation, ...)
  ff.read_retries(execution)
  ff.read_timing(execution)
  ff.note_extra(execution, FIELD.retries)
  local since = execution.lease_last_renewed_at
  if since == '' then since = execution.last_transition_at end
  execution.lost_lease_ms = ff.digits(execution.due_at - since)
  command('HSET', execution.key, FIELD.life, ff.enter_situation(call, execution, situation, execution.due_at), FIELD.retries,
    retries_of(execution), ...)
  ff.enqueue(execution)
  ff.set_timer(call, execution)
end

function ff.apply.lease_expired(call, execution)
  lapse(call, execution, SITUATION.lease_expired)
  ff.append(call, EVENT.lease_expired, execution.id)
  ff.close_stream(call, execution, CLOSED.lease_expired)
end

function ff.apply.lease_revoked(call, execution, reason)
  lapse(call, execution, SITUATION.lease_revoked, FIELD.lease_revoke_reason,
    ff.fit(execution.key, FIELD.lease_revoke_reason, reason))
  ff.append(call, EVENT.lease_revoked, execution.id, reason, '')
end

function ff.apply.lease_released(call, execution, remaining_ms)
  ff.read_retries(execution)
  ff.note_extra(execution, FIELD.retries)
  execution.lease_release_count = ff.digits(ff.count(execution.lease_release_count) + 1)
  ff.make_ready(call, execution, NEXT.resume, remaining_ms, FIELD.retries, retries_of(execution))
  ff.append(call, EVENT.lease_released, execution.id, remaining_ms, '')
  if execution.extras ~= '' then ff.settle_return(call, execution) end
end
