-- The effect of each event of an execution: the record, the indexes, the log entry. The twins of
-- model/execution/recipes.ts. Nothing here can fail: everything was read and computed before.

-- The effects of every creation besides entering its id, which comes first, and writing the record.
local function place(call, group, id, situation)
  ff.tally(call, group.lane_id, nil, situation)
  if group.lane_is_new then
    group.lane_is_new = false
    ff.enter_lane(call, group.lane_id)
  end
  if group.is_ready then ff.add_noted(group.queue, group.score_text, group.score, id, group.priority) end
end

-- A creation without a delay and without a key, as most are. The further fields of its group follow those of every
-- execution.
function ff.apply.plain_creation(call, group, id, key, given, input_at, input)
  ff.enter_id(call, id)
  if group.given ~= given then group.given, group.stored_given = given, given .. '\t' .. call.now_text end
  local more, life, naming, stored = group.more, group.life, group.naming, group.stored_given
  if input_at == '' then
    command('HSET', key, FIELD.life, life, FIELD.naming, naming, FIELD.given, stored, unpack(more))
  else
    local kept = ff.keep_bytes(key, SUFFIX.input, input_at, input)
    if more[1] then
      command('HSET', key, FIELD.life, life, FIELD.naming, naming, FIELD.given, stored, FIELD.input, kept, unpack(more))
    else
      command('HSET', key, FIELD.life, life, FIELD.naming, naming, FIELD.given, stored, FIELD.input, kept)
    end
  end
  place(call, group, id, SITUATION.ready)
  if not more[1] then
    ff.append(call, EVENT.execution_created, id, group.naming, given)
  else
    if group.tags ~= '' then ff.reshelve_tags(call, id, '', group.tags) end
    ff.append(call, EVENT.execution_created, id, group.naming, given, '', '', group.needs, '', group.tags, group.policy_text)
  end
end

function ff.apply.execution_created(call, group, new)
  local key, id = new.key, new.id
  ff.enter_id(call, id)
  local change = { key, FIELD.life, new.life, FIELD.naming, ff.fit(key, FIELD.naming, group.naming), FIELD.given,
    ff.fit(key, FIELD.given, new.given .. '\t' .. call.now_text) }
  if new.input_at ~= '' then ff.also(change, FIELD.input, ff.keep_bytes(key, SUFFIX.input, new.input_at, new.input)) end
  ff.also(change, FIELD.bounds, new.bounds)
  local holds_key = new.idempotency_name and group.holds_key
  if holds_key then ff.also(change, FIELD.own, ff.fit(key, FIELD.own, new.idempotency_key)) end
  ff.write_creation(change, group)
  place(call, group, id, new.situation)
  if group.tags ~= '' then ff.reshelve_tags(call, id, '', group.tags) end
  if new.due_at ~= '' or new.execution_deadline_at ~= '' then ff.set_timer(call, new) end
  if new.idempotency_name then
    local at, held = new.idempotency_expires_at, holds_key and LIMIT.held_key or ''
    ff.remember(new.idempotency_name, at .. '\t' .. id .. held, not holds_key and at)
  end
  -- Membership and the wait for a seal are between the bounds and the last flag.
  local bounds = holds_key and new.bounds .. '\t\t\t\t1' or new.bounds
  ff.append(call, EVENT.execution_created, id, group.naming, new.given, bounds, group.delay, group.needs,
    new.idempotency_key, group.tags, group.policy_text)
end

function ff.apply.progress_updated(call, execution, progress_pct, progress_message)
  local key = execution.key
  ff.read_progress(execution)
  if progress_pct ~= '' then execution.progress_pct = progress_pct end
  local progress = ff.progress_text(execution.progress_pct, call.now_text)
  ff.note_extra(execution, FIELD.progress)
  command('HSET', key, FIELD.life, ff.same_life(execution))
  if progress_message ~= '' then
    command('HSET', key, FIELD.progress, progress, FIELD.progress_message,
      ff.fit(key, FIELD.progress_message, progress_message))
  else
    command('HSET', key, FIELD.progress, progress)
  end
  ff.append(call, EVENT.progress_updated, execution.id, progress_pct, progress_message)
end

-- A failure that was followed by success is cleared.
local function forget_failure(execution)
  if execution.retries == '' then return end
  ff.read_retries(execution)
  if execution.failure_category == '' then return end
  command('HDEL', execution.key, FIELD.failure_reason, FIELD.failure_detail)
  command('HSET', execution.key, FIELD.retries,
    ff.retries_text(execution.retry_count, execution.lease_reclaim_count, execution.lease_release_count, '',
      execution.recent_loss_count, execution.last_lost_at, execution.lost_lease_ms))
end

local last_started, last_attempts, last_now, last_purge, last_extras, last_life

-- The life of a completed execution. Executions that were claimed together and end together have the same life.
local function completed_life(call, execution, purge_text)
  local started, attempts, now, extras = execution.started_at, execution.total_attempt_count, call.now_text, execution.extras
  if now ~= last_now or started ~= last_started or attempts ~= last_attempts or purge_text ~= last_purge or extras ~= last_extras then
    last_started, last_attempts, last_now, last_purge, last_extras = started, attempts, now, purge_text, extras
    last_life = ff.life_text(SITUATION.completed, '', purge_text, now, started, attempts, extras)
  end
  return last_life
end

-- Writes the record of a plain completion. Answers the size and the encoding of the result, for its event.
local function write_completion(call, execution, group, result_at, result)
  local key, life, encoding = execution.key, completed_life(call, execution, group.purge_text), group.result_encoding
  if result_at == '' and encoding == '' then
    command('HSET', key, FIELD.life, life)
    return ''
  end
  local ending = '\t' .. ff.size_of_bytes(result_at, result) .. '\t' .. encoding
  local stored = ff.fit(key, FIELD.ending, ending)
  if result_at == '' then
    command('HSET', key, FIELD.life, life, FIELD.ending, stored)
  else
    command('HSET', key, FIELD.life, life, FIELD.ending, stored,
      FIELD.result, ff.keep_result(execution, result_at, result))
  end
  return ending
end

-- Logs a completion, after which the admission is put into the outbox, if there is one.
local function append_completion(call, execution, ending, admission_id, admission)
  if not admission_id then
    return ff.append_filtered(call, EVENT.execution_completed, execution, 2, execution.naming, ending)
  end
  ff.append(call, EVENT.execution_completed, execution.id, execution.naming, ending, ff.filter_tags(call, execution), admission_id)
  ff.return_completed(call, admission_id, admission)
end

-- A completion that only sets its time and its result, as most do.
function ff.apply.plain_completion(call, execution, group, result_at, result, admission_id, admission)
  local id, purge_at = execution.id, group.purge_at
  local is_common = execution.extras == ''
  if not is_common and admission_id == nil then ff.note_ownership_end(call, execution) end
  local ending = write_completion(call, execution, group, result_at, result)
  ff.tally(call, ff.lane_of(execution), SITUATION.running, SITUATION.completed)
  -- After the record: if its write is refused, the lease still has its timer.
  ff.remove(call.timers, TIMER.execution .. id)
  if purge_at then ff.retain(call, id, purge_at) end
  if call.ends then ff.note_end(call, id) end
  if call.streams_until then ff.note_stream(call, id) end
  if is_common then
    ff.append(call, EVENT.execution_completed, id, execution.naming, group.purge_text .. ending)
  else
    append_completion(call, execution, group.purge_text .. ending, admission_id, admission)
  end
end

-- A completion of a member with nothing else to change: it is purged with its flow.
function ff.apply.member_completion(call, execution, purge_text, result_at, result, result_encoding)
  local key, id, flow_id = execution.key, execution.id, ff.flow_of(execution)
  if call.members_in_hand then ff.leave_other(call, id) end
  local bytes = ff.size_of_bytes(result_at, result)
  local life, ending = completed_life(call, execution, purge_text), ff.fit(key, FIELD.ending, ff.ending_text('', bytes, result_encoding))
  if result_at == '' then
    command('HSET', key, FIELD.life, life, FIELD.ending, ending)
  else
    command('HSET', key, FIELD.life, life, FIELD.ending, ending, FIELD.result, ff.keep_result(execution, result_at, result))
  end
  ff.tally(call, ff.lane_of(execution), SITUATION.running, SITUATION.completed)
  if flow_id then ff.tally(call, LIMIT.counted_flow .. flow_id, SITUATION.running, SITUATION.completed) end
  ff.remove(call.timers, TIMER.execution .. id)
  if call.ends then ff.note_end(call, id) end
  ff.append(call, EVENT.execution_completed, id, execution.naming, purge_text .. '\t' .. bytes .. '\t' .. result_encoding)
  if call.streams_until then ff.note_stream(call, id) end
  ff.settle_completion(call, execution, flow_id)
end

function ff.apply.execution_completed(call, execution, purge_at, purge_text, result_at, result, result_encoding)
  forget_failure(execution)
  local bytes = ff.size_of_bytes(result_at, result)
  local ending = ff.fit(execution.key, FIELD.ending, ff.ending_text('', bytes, result_encoding))
  if result_at == '' then
    ff.finish(call, execution, SITUATION.completed, purge_at, purge_text, FIELD.ending, ending)
  else
    local kept = ff.keep_result(execution, result_at, result)
    ff.finish(call, execution, SITUATION.completed, purge_at, purge_text, FIELD.ending, ending, FIELD.result, kept)
  end
  append_completion(call, execution, purge_text .. '\t' .. bytes .. '\t' .. result_encoding, execution.admission_id,
    execution.admission)
  ff.close_stream(call, execution, CLOSED.attempt_success)
  if execution.extras ~= '' then ff.settle_end(call, execution) end
end

local function fitted_retries(execution, retry_count, failure_category)
  return ff.fit(execution.key, FIELD.retries, ff.retries_text(retry_count, execution.lease_reclaim_count,
    execution.lease_release_count, failure_category, execution.recent_loss_count, execution.last_lost_at,
    execution.lost_lease_ms))
end

-- The failure detail replaces that of the previous failure; without one, the previous detail is removed if there is
-- one, or if that is unknown.
local function note_detail(execution, failure_detail)
  if failure_detail and failure_detail ~= '' then
    command('HSET', execution.key, FIELD.failure_detail, ff.fit(execution.key, FIELD.failure_detail, failure_detail))
  elseif execution.failure_detail ~= '' then
    command('HDEL', execution.key, FIELD.failure_detail)
  end
end

function ff.apply.retry_scheduled(call, execution, failure_category, failure_reason, delay_until, failure_detail, overridden)
  note_detail(execution, failure_detail)
  ff.read_retries(execution)
  ff.note_extra(execution, FIELD.retries)
  ff.wait(call, execution, SITUATION.retry_backoff, NEXT.retry, delay_until, '',
    FIELD.retries, fitted_retries(execution, ff.count(execution.retry_count) + 1, failure_category),
    FIELD.failure_reason, ff.fit(execution.key, FIELD.failure_reason, failure_reason))
  local failure = failure_category .. '\t' .. ff.digits(delay_until) .. (overridden and '\t1' or '')
  if failure_detail and failure_detail ~= '' then
    ff.append(call, EVENT.retry_scheduled, execution.id, failure, failure_reason, failure_detail, '')
  else
    ff.append(call, EVENT.retry_scheduled, execution.id, failure, failure_reason)
  end
  ff.close_stream(call, execution, CLOSED.attempt_failure)
  if execution.extras ~= '' then ff.settle_return(call, execution) end
end

local function fail(call, execution, situation, purge_at, purge_text, failure_category, failure_reason, failure_detail)
  note_detail(execution, failure_detail)
  ff.read_retries(execution)
  ff.note_extra(execution, FIELD.retries)
  ff.finish(call, execution, situation, purge_at, purge_text,
    FIELD.retries, fitted_retries(execution, execution.retry_count, failure_category),
    FIELD.failure_reason, ff.fit(execution.key, FIELD.failure_reason, failure_reason))
end

function ff.apply.execution_failed(call, execution, failure_category, failure_reason, purge_at, purge_text, failure_detail)
  fail(call, execution, SITUATION.failed, purge_at, purge_text, failure_category, failure_reason, failure_detail)
  ff.append_filtered(call, EVENT.execution_failed, execution, 4, execution.naming, failure_category .. '\t' .. purge_text,
    failure_reason, failure_detail or '')
  ff.close_stream(call, execution, CLOSED.attempt_failure)
  if execution.extras ~= '' then ff.settle_end(call, execution) end
end

-- A cancellation, without its consequences for other executions.
function ff.cancel_quietly(call, execution, cancelled_by, cancellation_reason, purge_at, purge_text)
  if execution.suspension then ff.close_suspension(call, execution.suspension, 'cancelled', '', '') end
  if execution.kept then ff.close_pending(call, execution, 'cancelled') end
  ff.finish(call, execution, SITUATION.cancelled, purge_at, purge_text,
    FIELD.ending, ff.ending_text(cancelled_by, '', ''),
    FIELD.cancellation_reason, ff.fit(execution.key, FIELD.cancellation_reason, cancellation_reason))
  ff.append_filtered(call, EVENT.execution_cancelled, execution, 3, execution.naming, cancelled_by .. '\t' .. purge_text,
    cancellation_reason, '')
  ff.close_stream(call, execution, CLOSED.attempt_cancelled)
end

function ff.apply.execution_cancelled(call, execution, cancelled_by, cancellation_reason, purge_at, purge_text)
  ff.cancel_quietly(call, execution, cancelled_by, cancellation_reason, purge_at, purge_text)
  if execution.extras ~= '' then ff.settle_end(call, execution) end
end

function ff.apply.execution_expired(call, execution, reason, purge_at, purge_text)
  if execution.suspension then ff.close_suspension(call, execution.suspension, 'expired:' .. reason, '', '') end
  if execution.kept then ff.close_pending(call, execution, 'expired:' .. reason) end
  fail(call, execution, SITUATION.expired, purge_at, purge_text, 'timeout', reason)
  ff.append_filtered(call, EVENT.execution_expired, execution, 2, execution.naming,
    EXPIRE_REASON[reason] .. '\t' .. purge_text)
  ff.close_stream(call, execution, CLOSED.expired)
  if execution.extras ~= '' then ff.settle_end(call, execution) end
end

function ff.apply.execution_delayed(call, execution, delay_until, remaining_ms)
  ff.wait(call, execution, SITUATION.delayed, NEXT.resume, delay_until, remaining_ms)
  ff.append(call, EVENT.execution_delayed, execution.id, ff.digits(delay_until) .. '\t' .. remaining_ms, '')
  if execution.extras ~= '' then ff.settle_return(call, execution) end
end

function ff.apply.execution_promoted(call, execution)
  ff.make_ready(call, execution, execution.next_attempt, ff.remaining_of(execution))
  ff.append(call, EVENT.execution_promoted, execution.id)
end

-- Records an edit that does not change the situation. Needs edits loaded.
function ff.edited(call, execution)
  ff.read_edits(execution)
  ff.note_extra(execution, FIELD.edits)
  return ff.edits_text(execution.replay_count, call.now_text)
end

function ff.apply.execution_held(call, execution, held_by, reason)
  local key = execution.key
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.withdraw_grant(call, execution)
  ff.note_extra(execution, FIELD.hold)
  ff.tally(call, ff.lane_of(execution), nil, LIMIT.held)
  ff.shelve(call, LIMIT.held, execution.id)
  command('HSET', key, FIELD.life, ff.same_life(execution),
    FIELD.hold, ff.fit(key, FIELD.hold, ff.hold_text(call.now_text, held_by)),
    FIELD.hold_reason, ff.fit(key, FIELD.hold_reason, reason))
  ff.append(call, EVENT.execution_held, execution.id, held_by, reason)
end

-- The execution returns to its queue.
function ff.apply.hold_released(call, execution, released_by, reason)
  ff.end_hold(call, execution)
  local edits = ff.edited(call, execution)
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.edits, edits)
  ff.enqueue(execution)
  ff.append(call, EVENT.hold_released, execution.id, released_by, reason)
end

function ff.apply.priority_changed(call, execution, priority, requested_by)
  local key = execution.key
  execution.priority = priority
  local edits = ff.edited(call, execution)
  command('HSET', key, FIELD.life, ff.same_life(execution), FIELD.edits, edits, FIELD.given,
    ff.fit(key, FIELD.given, ff.given_text(priority, execution.payload_bytes, execution.payload_encoding, execution.created_at)))
  if ff.is_queued(execution) then
    ff.enqueue(execution)
    -- Its new position is announced if it is the first, whatever was there before.
    execution.queue.has_left = true
  end
  ff.append(call, EVENT.priority_changed, execution.id, priority .. '\t' .. requested_by, '')
end

function ff.apply.tags_set(call, execution, merged, tags)
  ff.reshelve_tags(call, execution.id, execution.tags, merged)
  local key = execution.key
  local edits = ff.edited(call, execution)
  ff.note_extra(execution, FIELD.tags)
  command('HSET', key, FIELD.life, ff.same_life(execution), FIELD.edits, edits, FIELD.tags, ff.fit(key, FIELD.tags, merged))
  ff.append(call, EVENT.tags_set, execution.id, tags, execution.naming)
end

-- Facets that belong to one run only; beside them, the long facts.
local OF_A_RUN = { FIELD.retries, FIELD.progress }

function ff.apply.execution_replayed(call, execution, reason, requested_by, discards)
  local key, was_skipped = execution.key, execution.situation == SITUATION.skipped
  command('UNLINK', ff.result_key(execution))
  local deadline = execution.execution_deadline_at
  if deadline ~= '' and tonumber(deadline) <= call.now then deadline = '' end
  if execution.bounds ~= '' and deadline == '' and execution.idempotency_expires_at == '' then
    ff.drop_extra(execution, FIELD.bounds)
    command('HDEL', key, FIELD.bounds)
  elseif deadline ~= execution.execution_deadline_at then
    command('HSET', key, FIELD.bounds, ff.bounds_text(deadline, execution.idempotency_expires_at, ''))
  end
  execution.execution_deadline_at = deadline
  for i = 1, #OF_A_RUN do
    if string.find(execution.extras, OF_A_RUN[i], 1, true) then ff.drop_extra(execution, OF_A_RUN[i]) end
  end
  command('HDEL', key, FIELD.retries, FIELD.progress, FIELD.ending, FIELD.result, FIELD.failure_reason, FIELD.failure_detail,
    FIELD.cancellation_reason, FIELD.progress_message)
  if discards then
    if ff.has_steps(execution) then ff.discard_steps(execution) end
    if ff.has_waits(execution) then ff.discard_waits(execution) end
  end
  ff.note_extra(execution, FIELD.edits)
  local count = ff.digits(ff.count(execution.replay_count) + 1)
  if execution.awaits_others then
    ff.wait_for_others(call, execution, NEXT.replay, FIELD.edits, ff.edits_text(count, execution.edited_at))
  else
    ff.make_ready(call, execution, NEXT.replay, '', FIELD.edits, ff.edits_text(count, execution.edited_at))
  end
  local flags = was_skipped and (discards and '\t1\t1' or '\t\t1') or discards and '\t1' or ''
  local facts = count .. '\t' .. requested_by .. '\t' .. deadline .. flags
  ff.append(call, EVENT.execution_replayed, execution.id, facts, reason)
end

-- Its next attempt and its time stay unchanged.
function ff.apply.execution_blocked(call, execution, situation, detail)
  local key = execution.key
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.withdraw_grant(call, execution)
  command('HSET', key, FIELD.life, ff.enter_situation(call, execution, situation, ''),
    FIELD.blocking_detail, ff.fit(key, FIELD.blocking_detail, detail))
  ff.append(call, EVENT.execution_blocked, execution.id, situation, detail)
end

function ff.apply.execution_unblocked(call, execution)
  command('HDEL', execution.key, FIELD.blocking_detail)
  command('HSET', execution.key, FIELD.life, ff.enter_situation(call, execution, SITUATION.ready, ''))
  ff.enqueue(execution)
  ff.append(call, EVENT.execution_unblocked, execution.id)
end

-- The list of a retention slot keeps the id: it counts only while a record's purge time names the slot (ruling 24).
function ff.apply.execution_purged(call, execution)
  local key = execution.key
  ff.remove_streams(call, execution, execution.all_streams)
  ff.leave_id(call, execution.id)
  ff.tally(call, ff.lane_of(execution), execution.situation, nil)
  if ff.is_member(execution) then ff.forget_member(call, execution) end
  if SHELVED[execution.situation] then ff.unshelve(call, execution.situation, execution.id) end
  if execution.tags ~= '' then ff.reshelve_tags(call, execution.id, execution.tags, '') end
  if execution.own ~= '' then ff.forget_key(call, execution) end
  if ff.has_waits(execution) then command('UNLINK', key .. SUFFIX.waits, key .. SUFFIX.payloads) end
  if ff.has_steps(execution) then ff.remove_steps(key) end
  command('UNLINK', key, key .. SUFFIX.details, key .. SUFFIX.input, ff.result_key(execution))
  ff.append(call, EVENT.execution_purged, execution.id)
end
