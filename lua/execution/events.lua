-- What each event of an execution does: the record, the indexes, the log entry. The twins of
-- model/execution/recipes.ts. Nothing here can fail: what is written was read and computed before.

-- `new` is what the creation made: id, key, life, naming, given (and the same as it is logged), and further texts,
-- each of which may be empty.
function ff.apply.execution_created(call, new)
  local key = new.key
  local change = { key, FIELD.life, new.life, FIELD.naming, ff.fit(key, FIELD.naming, new.naming), FIELD.given,
    ff.fit(key, FIELD.given, new.given) }
  local size = 7
  local function also(field, value)
    if value == '' then return end
    change[size + 1], change[size + 2] = field, value
    size = size + 2
  end
  if new.input_at ~= '' then also(FIELD.input, ff.keep_bytes(key .. SUFFIX.input, new.input_at, new.input)) end
  if new.has_more then
    also(FIELD.bounds, new.bounds)
    also(FIELD.needs, ff.fit(key, FIELD.needs, new.needs))
    also(FIELD.wait, new.delay_until)
    also(FIELD.rules, ff.fit(key, FIELD.rules, new.rules))
    also(FIELD.tags, ff.fit(key, FIELD.tags, new.tags))
    also(FIELD.policy, ff.fit(key, FIELD.policy, new.policy))
  end
  command('HSET', unpack(change, 1, size))
  ff.enter_id(call, new.id)
  if new.due_at == '' then ff.enqueue_ready(new) end
  if new.lane_is_new then
    command('SADD', call.base .. KEY.lanes, new.lane_id)
  end
  if new.due_at ~= '' or new.execution_deadline_at ~= '' then ff.set_timer(call, new) end
  if new.idempotency_name then
    ff.remember(new.idempotency_name, new.idempotency_expires_at .. '\t' .. new.id, new.idempotency_expires_at)
  end
  if new.has_more or new.idempotency_key ~= '' then
    ff.append(call, EVENT.execution_created, new.id, new.naming, new.logged_given, new.bounds, new.delay_until, new.needs,
      new.idempotency_key, new.tags, new.policy)
  else
    ff.append(call, EVENT.execution_created, new.id, new.naming, new.logged_given)
  end
end

function ff.apply.progress_updated(call, execution, progress_pct, progress_message)
  local key = execution.key
  ff.read_progress(execution)
  if progress_pct ~= '' then execution.progress_pct = progress_pct end
  local progress = ff.progress_text(execution.progress_pct, call.now_text)
  if progress_message ~= '' then
    command('HSET', key, FIELD.progress, progress, FIELD.progress_message,
      ff.fit(key, FIELD.progress_message, progress_message))
  else
    command('HSET', key, FIELD.progress, progress)
  end
  ff.append(call, EVENT.progress_updated, execution.id, progress_pct, progress_message)
end

-- A failure that was followed by success is not the last word.
local function forget_failure(execution)
  if execution.retries == '' then return end
  ff.read_retries(execution)
  if execution.failure_category == '' then return end
  command('HDEL', execution.key, FIELD.failure_reason)
  command('HSET', execution.key, FIELD.retries,
    ff.retries_text(execution.retry_count, execution.lease_reclaim_count, execution.lease_release_count, ''))
end

function ff.apply.execution_completed(call, execution, purge_at, result_at, result, result_encoding)
  forget_failure(execution)
  if result_at == '' and result_encoding == '' then
    ff.finish(call, execution, SITUATION.completed, purge_at)
    ff.append(call, EVENT.execution_completed, execution.id, execution.naming, ff.text_of(purge_at))
    return
  end
  local bytes = result_at ~= '' and ff.count_bytes(result_at, result) or ''
  local ending = ff.fit(execution.key, FIELD.ending, ff.ending_text('', bytes, result_encoding))
  if result_at == '' then
    ff.finish(call, execution, SITUATION.completed, purge_at, FIELD.ending, ending)
  else
    local kept = ff.keep_bytes(ff.result_key(execution), result_at, result)
    ff.finish(call, execution, SITUATION.completed, purge_at, FIELD.ending, ending, FIELD.result, kept)
  end
  ff.append(call, EVENT.execution_completed, execution.id, execution.naming,
    ff.text_of(purge_at) .. '\t' .. bytes .. '\t' .. result_encoding)
end

local function fitted_retries(execution, retry_count, failure_category)
  return ff.fit(execution.key, FIELD.retries, ff.retries_text(retry_count, execution.lease_reclaim_count,
    execution.lease_release_count, failure_category))
end

function ff.apply.retry_scheduled(call, execution, failure_category, failure_reason, delay_until)
  ff.read_retries(execution)
  ff.wait(call, execution, SITUATION.retry_backoff, NEXT.retry, delay_until, '',
    FIELD.retries, fitted_retries(execution, ff.count(execution.retry_count) + 1, failure_category),
    FIELD.failure_reason, ff.fit(execution.key, FIELD.failure_reason, failure_reason))
  ff.append(call, EVENT.retry_scheduled, execution.id, failure_category .. '\t' .. ff.digits(delay_until), failure_reason)
end

local function fail(call, execution, situation, purge_at, failure_category, failure_reason)
  ff.read_retries(execution)
  ff.finish(call, execution, situation, purge_at,
    FIELD.retries, fitted_retries(execution, execution.retry_count, failure_category),
    FIELD.failure_reason, ff.fit(execution.key, FIELD.failure_reason, failure_reason))
end

function ff.apply.execution_failed(call, execution, failure_category, failure_reason, purge_at)
  fail(call, execution, SITUATION.failed, purge_at, failure_category, failure_reason)
  ff.append(call, EVENT.execution_failed, execution.id, execution.naming, failure_category .. '\t' .. ff.text_of(purge_at),
    failure_reason, '')
end

function ff.apply.execution_cancelled(call, execution, cancelled_by, cancellation_reason, purge_at)
  ff.finish(call, execution, SITUATION.cancelled, purge_at,
    FIELD.ending, ff.ending_text(cancelled_by, '', ''),
    FIELD.cancellation_reason, ff.fit(execution.key, FIELD.cancellation_reason, cancellation_reason))
  ff.append(call, EVENT.execution_cancelled, execution.id, execution.naming, cancelled_by .. '\t' .. ff.text_of(purge_at),
    cancellation_reason, '')
end

function ff.apply.execution_expired(call, execution, reason, purge_at)
  fail(call, execution, SITUATION.expired, purge_at, 'timeout', reason)
  ff.append(call, EVENT.execution_expired, execution.id, execution.naming,
    EXPIRE_REASON[reason] .. '\t' .. ff.text_of(purge_at))
end

function ff.apply.execution_delayed(call, execution, delay_until, remaining_ms)
  ff.wait(call, execution, SITUATION.delayed, NEXT.resume, delay_until, remaining_ms)
  ff.append(call, EVENT.execution_delayed, execution.id, ff.digits(delay_until) .. '\t' .. remaining_ms, '')
end

function ff.apply.execution_promoted(call, execution)
  ff.make_ready(call, execution, execution.next_attempt, ff.remaining_of(execution))
  ff.append(call, EVENT.execution_promoted, execution.id)
end

-- The list of a retention slot keeps the id: it counts only while a record's purge time names the slot (ruling 24).
function ff.apply.execution_purged(call, execution)
  local key = execution.key
  ff.leave_id(call, execution.id)
  command('UNLINK', key, key .. SUFFIX.details, key .. SUFFIX.input, ff.result_key(execution))
  ff.append(call, EVENT.execution_purged, execution.id)
end
