-- What a worker gets of an execution that it acquires: see model/schedule/acquire.ts

-- The type of attempt that a claim starts; empty for an initial one.
local PENDING_TYPE = { [NEXT.retry] = ATTEMPT.retry, [NEXT.replay] = ATTEMPT.replay }

-- Bytes of the input. Needs given loaded.
local function input_bytes_of(execution) return tonumber(string.match(execution.given, '^[^\t]*\t(%d+)')) end

-- Loads an input that is not in the record. Work whose input is lost cannot run. Long inputs are left in their keys for
-- their owner to read; `leaves`: all of them, and the client fetches short ones beside this call.
function ff.load_input(execution, leaves)
  local key = execution.key .. SUFFIX.input
  local bytes = input_bytes_of(execution)
  if leaves or bytes and bytes > LIMIT.max_claimed_input_bytes then
    if guarded('STRLEN', key) ~= bytes then ff.damaged('the input is missing') end
    execution.input = false
    return
  end
  local input = guarded('GET', key)
  if type(input) ~= 'string' then ff.damaged('the input is missing') end
  execution.input = input
end

local function timing_of(timeout_at, remaining_ms)
  if timeout_at == '' and remaining_ms == '' then return '' end
  return ff.timing_text(timeout_at, remaining_ms, '')
end

-- Whether the owner has to read the input, because it is too long for a claim. Needs the input loaded.
local function is_fetched(execution)
  return execution.input == false and input_bytes_of(execution) > LIMIT.max_claimed_input_bytes
end

-- Whether the owner has something to read before the handler can be called: the input, or results of upstreams. A claim
-- by id brings no results.
local function is_incomplete(execution, given)
  if is_fetched(execution) then return true end
  if given then return given.is_more end
  return string.find(execution.extras, FIELD.group, 1, true) ~= nil
end

-- The end of an attempt with this timeout that starts now, or the stored remaining time of one that begins later: it was
-- claimed ahead, or its owner has something to read.
local function times_of(call, group, execution, time_ms, given)
  if not time_ms then return '', '' end
  if group.ahead or is_incomplete(execution, given) then return '', ff.digits(time_ms) end
  return ff.digits(call.now + time_ms), ''
end

-- What a worker gets of an execution without earlier attempts, and with the results that the claim brings, if any.
function ff.take_first(call, group, execution, ticket, given)
  local timeout_ms = execution.rules ~= '' and ff.rules(execution.rules).attempt_timeout_ms
  -- It can have ended before its first attempt, and been replayed.
  local attempt_type = execution.next_attempt == NEXT.replay and ATTEMPT.replay or ''
  local timeout_at, remaining_ms = times_of(call, group, execution, timeout_ms, given)
  local attempt = (timeout_ms or attempt_type ~= '') and attempt_type .. '\t\t' .. timeout_at .. '\t' .. remaining_ms or ''
  return {
    execution = execution, event = EVENT.execution_claimed, fence = '1\t' .. ticket,
    started_at = call.now_text, attempts = '1', timeout_at = timeout_at, remaining_ms = remaining_ms,
    timing = timing_of(timeout_at, remaining_ms), retries = '',
    attempt = attempt, index = '0', kind = CLAIM.fresh, attempt_type = attempt_type, earlier = '', given = given,
  }
end

-- The take of a plain claim for an execution with tags or rules, beside its fence; `expiry` is the time of its timer,
-- as a number and as a text. Executions of a claim mostly have the same rules.
function ff.plain_take_of(call, group, execution)
  local rules, fetched = execution.rules, is_fetched(execution)
  local take = group.take
  if take and take.rules == rules and take.fetched == fetched then return take end
  local timeout_ms = rules ~= '' and ff.rules(rules).attempt_timeout_ms
  local timeout_at, remaining_ms = times_of(call, group, execution, timeout_ms)
  take = {
    is_plain = true, rules = rules, fetched = fetched, kind = CLAIM.fresh, attempt_type = '', index = '0', earlier = '',
    timeout_at = timeout_at, remaining_ms = remaining_ms, timing = timing_of(timeout_at, remaining_ms),
    -- The times in the text of the event; false without any.
    attempt = timeout_ms and '\t\t' .. timeout_at .. '\t' .. remaining_ms, expiry = group.expiry, expires_at = group.expires_at,
  }
  -- One timer serves the end of the lease and of the attempt.
  if timeout_at ~= '' and call.now + timeout_ms < group.expiry then take.expiry, take.expires_at = call.now + timeout_ms, timeout_at end
  group.take = take
  return take
end

-- The number of recent losses with the one of now. Losses that lie far apart have causes of their own.
local function recent_losses_of(call, execution)
  local last = ff.time(execution.last_lost_at)
  if not last or call.now - last > LIMIT.loss_memory_ms then return '1' end
  return ff.digits(ff.count(execution.recent_loss_count) + 1)
end

-- What a worker gets of an execution with earlier attempts.
function ff.take_again(call, group, execution, ticket, given, room)
  local lease_id, attempt_id = string.match(ticket, '^([^\t]*)\t([^\t]*)$')
  local epoch, last_attempt = string.match(execution.fence, '^(%d+)\t[^\t]*\t([^\t]+)$')
  if not epoch then ff.damaged('the fence is unreadable') end
  ff.read_retries(execution)
  ff.read_timing(execution)
  local attempts = ff.count(execution.total_attempt_count)
  local reclaimed = ff.is_reclaimable(execution.situation)
  if reclaimed then ff.check_stream(call, execution) end
  local resumed = not reclaimed and execution.next_attempt == NEXT.resume
  local time_ms
  if resumed then time_ms = ff.time(execution.attempt_timeout_remaining_ms) else time_ms = ff.rules(execution.rules).attempt_timeout_ms end
  local timeout_at, remaining_ms = times_of(call, group, execution, time_ms, given)
  local index = resumed and attempts - 1 or attempts
  local index_text = index == 0 and '' or ff.digits(index)
  local take = {
    execution = execution, fence = (epoch + 1) .. '\t' .. lease_id .. '\t' .. (resumed and last_attempt or attempt_id),
    started_at = execution.started_at, attempts = ff.digits(index + 1), timeout_at = timeout_at,
    remaining_ms = remaining_ms, timing = timing_of(timeout_at, remaining_ms), retries = execution.retries, index = ff.digits(index),
    earlier = ff.earlier_of(execution, room), given = given,
  }
  local times = '\t' .. timeout_at .. '\t' .. remaining_ms
  if resumed then
    take.event, take.kind, take.attempt_type = EVENT.execution_resumed, CLAIM.resumed, ''
    take.attempt = index_text .. times
    return take
  end
  local attempt_type = reclaimed and ATTEMPT.reclaim or PENDING_TYPE[execution.next_attempt] or ''
  take.event, take.kind, take.attempt_type = EVENT.execution_claimed, reclaimed and CLAIM.reclaimed or CLAIM.fresh, attempt_type
  take.attempt = attempt_type .. '\t' .. index_text .. times
  if reclaimed then
    take.retries = ff.retries_text(execution.retry_count, ff.digits(ff.count(execution.lease_reclaim_count) + 1),
      execution.lease_release_count, execution.failure_category, recent_losses_of(call, execution), call.now_text,
      execution.lost_lease_ms)
  end
  return take
end
