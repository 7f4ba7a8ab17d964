-- The moves that events consist of; the twins of model/execution/lifecycle.ts.

function ff.is_active(situation)
  return situation == SITUATION.running or ff.is_reclaimable(situation)
end

function ff.is_reclaimable(situation)
  return situation == SITUATION.lease_expired or situation == SITUATION.lease_revoked
end

function ff.is_claimable(situation)
  return situation == SITUATION.ready or ff.is_reclaimable(situation)
end

-- Whether an operator holds an execution. The extra exists only during the hold.
function ff.is_held(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.hold, 1, true) ~= nil
end

-- Whether an execution is granted to one worker, so that no other claim takes it. Also an extra.
function ff.is_granted(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.grant, 1, true) ~= nil
end

-- Whether an execution belongs in its queue: the only definition, with `isQueued` of the model.
function ff.is_queued(execution)
  if not ff.is_claimable(execution.situation) then return false end
  -- Both are extras: most executions have none.
  return execution.extras == '' or not (ff.is_held(execution) or ff.is_granted(execution))
end

-- Whether an execution is in a flow. Also an extra.
function ff.is_member(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.membership, 1, true) ~= nil
end

function ff.is_delayed(situation)
  return situation == SITUATION.delayed or situation == SITUATION.retry_backoff or situation == SITUATION.resume_delay
end

function ff.is_blocked(situation)
  return situation == SITUATION.blocked_budget or situation == SITUATION.blocked_quota
    or situation == SITUATION.blocked_route or situation == SITUATION.blocked_lane
end

function ff.is_terminal(situation)
  return PHASE[situation] == 'terminal'
end

function ff.is_runnable(situation)
  return PHASE[situation] == 'runnable'
end

-- Moves an execution into a situation; `due_at` is a text. Needs naming loaded. Answers the facet `life`, which the
-- caller writes.
function ff.enter_situation(call, execution, situation, due_at)
  if call.members_in_hand then ff.leave_other(call, execution.id, execution) end
  ff.tally(call, ff.lane_of(execution), execution.situation, situation)
  if execution.extras ~= '' then ff.tally_member(call, execution, execution.situation, situation) end
  ff.reshelve(call, execution.id, execution.situation, situation)
  ff.reorder_suspended(call, execution.id, execution.situation, situation, due_at)
  if execution.extras ~= '' and execution.situation == SITUATION.running and execution.admission_id == nil then
    ff.note_ownership_end(call, execution)
  end
  execution.situation = situation
  execution.due_at = due_at
  execution.last_transition_at = call.now_text
  return ff.life_text(situation, execution.next_attempt, due_at, call.now_text, execution.started_at,
    execution.total_attempt_count, execution.extras)
end

-- Writes an execution that lost its owner: `life`, and the given changes. Facts of an owner only count while there is
-- one, so they are left; the remaining time of the attempt is written, or removed.
local function write_without_owner(execution, life, delay_until, remaining_ms, ...)
  local change = { execution.key, FIELD.life, life, ... }
  local size = #change
  if (execution.wait or '') ~= delay_until then
    change[size + 1], change[size + 2] = FIELD.wait, delay_until
    size = size + 2
  end
  if execution.timing ~= '' or remaining_ms ~= '' then
    change[size + 1], change[size + 2] = FIELD.timing, ff.timing_text('', remaining_ms, '')
  end
  command('HSET', unpack(change))
end

-- Removes an execution from its queue, if it is in one. The reason of a revocation or a block is cleared.
local function leave_queue(call, execution)
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  local situation = execution.situation
  if situation == SITUATION.lease_revoked then
    command('HDEL', execution.key, FIELD.lease_revoke_reason)
  elseif ff.is_blocked(situation) then
    command('HDEL', execution.key, FIELD.blocking_detail)
  end
end

-- The facet `life` of an execution whose situation does not change.
function ff.same_life(execution)
  return ff.life_text(execution.situation, execution.next_attempt, execution.due_at, execution.last_transition_at,
    execution.started_at, execution.total_attempt_count, execution.extras)
end

-- Ends a hold. The caller writes `life`.
function ff.end_hold(call, execution)
  if not ff.is_held(execution) then return end
  ff.tally(call, ff.lane_of(execution), LIMIT.held, nil)
  ff.unshelve(call, LIMIT.held, execution.id)
  ff.drop_extra(execution, FIELD.hold)
  command('HDEL', execution.key, FIELD.hold, FIELD.hold_reason)
end

-- Ends a grant. The caller writes `life`, and the timer.
function ff.end_grant(execution)
  if not ff.is_granted(execution) then return end
  ff.drop_extra(execution, FIELD.grant)
  execution.grant, execution.grant_expires_at = '', ''
  command('HDEL', execution.key, FIELD.grant)
end

-- Withdraws a grant before its time. The caller writes `life`. Needs bounds and timing loaded.
function ff.withdraw_grant(call, execution)
  if not ff.is_granted(execution) then return end
  ff.end_grant(execution)
  ff.set_timer(call, execution)
end

-- Ends an execution: one routine for every ending. Needs naming, bounds, needs, wait and timing loaded; `purge_at` is a
-- number or nil, `purge_text` the same as a text. The further arguments are fields and values.
function ff.finish(call, execution, situation, purge_at, purge_text, ...)
  leave_queue(call, execution)
  ff.stop_timer(call, execution)
  ff.end_hold(call, execution)
  ff.end_grant(execution)
  if execution.kept then ff.close_pending(call, execution, 'attempt_ended') end
  execution.next_attempt = ''
  write_without_owner(execution, ff.enter_situation(call, execution, situation, purge_text), '', '', ...)
  -- Members of a flow are purged with the flow.
  if purge_at and not ff.is_member(execution) then ff.retain(call, execution.id, purge_at) end
  if call.ends then ff.note_end(call, execution.id) end
end

-- Delays an execution; `until_at` is a number. The further arguments are fields and values.
function ff.wait(call, execution, situation, next_attempt, until_at, remaining_ms, ...)
  leave_queue(call, execution)
  ff.end_grant(execution)
  execution.next_attempt = next_attempt
  local text = ff.digits(until_at)
  ff.note_extra(execution, FIELD.wait)
  if remaining_ms ~= '' then ff.note_extra(execution, FIELD.timing) end
  write_without_owner(execution, ff.enter_situation(call, execution, situation, text), text, remaining_ms, ...)
  execution.wait = text
  ff.set_timer(call, execution)
end

-- Makes an execution claimable. The further arguments are fields and values.
function ff.make_ready(call, execution, next_attempt, remaining_ms, ...)
  if remaining_ms ~= '' then ff.note_extra(execution, FIELD.timing) end
  execution.next_attempt = next_attempt
  -- A repeated report of a failure is answered with the delay of its retry.
  local delay_until = next_attempt == NEXT.retry and execution.wait or ''
  write_without_owner(execution, ff.enter_situation(call, execution, SITUATION.ready, ''), delay_until, remaining_ms, ...)
  ff.enqueue(execution)
  ff.set_timer(call, execution)
end

-- Parks an owned execution until its dependencies are decided.
function ff.park_for_others(call, execution, remaining_ms)
  if remaining_ms ~= '' then ff.note_extra(execution, FIELD.timing) end
  execution.next_attempt = NEXT.resume
  write_without_owner(execution, ff.enter_situation(call, execution, SITUATION.blocked_dependencies, ''), '', remaining_ms)
  ff.set_timer(call, execution)
end

-- Suspends an execution until its condition is satisfied; `timeout_at` is a text. The further arguments are fields and
-- values.
function ff.suspend(call, execution, timeout_at, remaining_ms, ...)
  if remaining_ms ~= '' then ff.note_extra(execution, FIELD.timing) end
  ff.note_extra(execution, FIELD.pause)
  execution.next_attempt = NEXT.resume
  write_without_owner(execution, ff.enter_situation(call, execution, SITUATION.suspended, timeout_at), '', remaining_ms, ...)
  ff.set_timer(call, execution)
end
