-- The effects of events on executions and their suspensions; the twins of model/suspension/recipes.ts.

-- Closes a waitpoint.
local function over(call, it, state, reason)
  it.waitpoint_state, it.closed_at, it.close_reason = state, call.now_text, reason
  return ff.waitpoint_text(it)
end

-- Closes a suspension and all of its waitpoints, and writes the signal that closes it, if any. Needs
-- `ff.check_suspension`.
function ff.close_suspension(call, suspension, reason, trigger, closer)
  local change = suspension.change or { suspension.key }
  local size = #change
  change[size + 1], change[size + 2] = WAITS.closing, ff.waits_closing_text(call.now_text, reason, trigger, closer, '')
  size = size + 2
  for i = 1, #suspension.waitpoints do
    local it = suspension.waitpoints[i]
    change[size + 1], change[size + 2] = it.field, over(call, it, WAITPOINT_STATE.closed, reason)
    size = size + 2
  end
  call.work = call.work + LIMIT.suspension_units + #suspension.waitpoints
  -- A closed suspension evaluates no further signals.
  if suspension.progress ~= '' then change[size + 1], change[size + 2] = WAITS.progress, '' end
  command('HSET', unpack(change))
end

-- Writes the ids of the unused waitpoints to the hash of waits, and the earliest expiry of these to the record. Needs
-- bounds loaded; the further arguments are fields and values of the record.
local function write_pending(execution, key, ids, next_at, ...)
  ff.read_bounds(execution)
  execution.pending_expires_at = next_at
  execution.bounds = ff.bounds_text(execution.execution_deadline_at, execution.idempotency_expires_at, next_at)
  command('HSET', execution.key, FIELD.bounds, execution.bounds, ...)
  if ids == '' then command('HDEL', key, WAITS.pending) else command('HSET', key, WAITS.pending, ids) end
end

-- Closes all unused waitpoints of an execution that ends. Needs `ff.check_ending`.
function ff.close_pending(call, execution, reason)
  local kept = execution.kept
  execution.kept = nil
  call.work = call.work + #kept.pending
  local change = { kept.key }
  for i = 1, #kept.pending do
    change[2 * i], change[2 * i + 1] = kept.pending[i].field, over(call, kept.pending[i], WAITPOINT_STATE.closed, reason)
  end
  -- None are left where the hash was lost.
  if change[2] then command('HSET', unpack(change)) end
  write_pending(execution, kept.key, '', '')
end

-- Needs bounds loaded, `ff.kept_of`, and the timers.
function ff.apply.pending_waitpoint_created(call, execution, kept, id, waitpoint_key, expires_at)
  local ids = {}
  for i = 1, #kept.pending do ids[i] = kept.pending[i].id end
  ids[#ids + 1] = id
  ff.read_bounds(execution)
  local known = ff.time(execution.pending_expires_at)
  local next_at = ff.digits(known and math.min(known, tonumber(expires_at)) or expires_at)
  command('HSET', kept.key, WAITS.waitpoint .. id, ff.waitpoint_text({
    waitpoint_key = waitpoint_key, waitpoint_state = WAITPOINT_STATE.pending, created_at = call.now_text, closed_at = '',
    close_reason = '', signal_count = '', matched_signal_count = '', last_signal_at = '', expires_at = expires_at,
    activated_at = '', keeps_signals = '',
  }), WAITS.waitpoint_count, ff.digits(kept.count + 1))
  ff.note_extra(execution, FIELD.bounds)
  if ff.has_waited(execution) then
    write_pending(execution, kept.key, table.concat(ids, ','), next_at, FIELD.life, ff.same_life(execution))
  else
    ff.note_extra(execution, FIELD.pause)
    write_pending(execution, kept.key, table.concat(ids, ','), next_at, FIELD.life, ff.same_life(execution), FIELD.pause, '')
  end
  ff.set_timer(call, execution)
  ff.append(call, EVENT.pending_waitpoint_created, execution.id, id .. '\t' .. waitpoint_key .. '\t' .. expires_at, '')
end

local function end_pending(call, execution, kept, waitpoint, state, reason)
  command('HSET', kept.key, waitpoint.field, over(call, waitpoint, state, reason))
  local ids, next_at = ff.leave_pending(kept, waitpoint)
  write_pending(execution, kept.key, ids, next_at)
  ff.set_timer(call, execution)
end

function ff.apply.pending_waitpoint_closed(call, execution, kept, waitpoint, reason)
  end_pending(call, execution, kept, waitpoint, WAITPOINT_STATE.closed, reason)
  ff.append(call, EVENT.pending_waitpoint_closed, execution.id, waitpoint.id .. '\t' .. reason, '')
end

function ff.apply.pending_waitpoint_expired(call, execution, kept, waitpoint)
  end_pending(call, execution, kept, waitpoint, WAITPOINT_STATE.expired, 'never_committed')
  ff.append(call, EVENT.pending_waitpoint_expired, execution.id, waitpoint.id, '')
end

-- Replaces the last suspension. `ask` is the table of the command: see lua/suspension/suspend.lua.
local function begin(call, execution, ask)
  local key, kept = ask.kept.key, ask.kept
  local change = {
    key, WAITS.suspension, ask.given .. '\t' .. call.now_text, WAITS.condition, ask.condition,
  }
  local function also(field, value)
    change[#change + 1] = field
    change[#change + 1] = value
  end
  local ids = {}
  for i = 1, #ask.waitpoints do
    local it = ask.waitpoints[i]
    ids[i] = it.id
    it.waitpoint_state = WAITPOINT_STATE.active
    also(WAITS.waitpoint .. it.id, ff.waitpoint_text(it))
  end
  also(WAITS.waitpoints, table.concat(ids, ','))
  if ask.is_fresh then also(WAITS.waitpoint_count, ff.digits(kept.count + #ids)) end
  for i = 1, #ask.folded do also(WAITS.signal .. ask.folded[i].id, ask.folded[i].text) end
  if ask.progress ~= '' then also(WAITS.progress, ask.progress) end
  if ask.satisfiers ~= '' then also(WAITS.satisfiers, ask.satisfiers) end
  if ask.suspend_key ~= '' then
    also(WAITS.suspend_key .. ask.suspend_key, ff.waits_suspend_key_text(ask.digest, ask.suspension_id, ask.key_expires_at,
      ask.is_satisfied and '1' or '', table.concat(ids, ',')))
  end
  -- Fields of the previous suspension.
  if ff.has_waited(execution) then command('HDEL', key, WAITS.closing, WAITS.progress, WAITS.satisfiers) end
  command('HSET', unpack(change))
  if not ask.is_fresh then write_pending(execution, key, ff.leave_pending(kept, ask.waitpoints[1])) end
end

local function once_text(ask)
  if ask.suspend_key == '' then return '' end
  return ask.suspend_key .. '\t' .. ask.digest .. '\t' .. ask.key_expires_at
end

function ff.apply.execution_suspended(call, execution, ask)
  begin(call, execution, ask)
  ff.suspend(call, execution, ask.timeout_at, ask.remaining_ms, FIELD.pause, ask.reason)
  local once = once_text(ask)
  if once == '' and #ask.folded == 0 then
    ff.append(call, EVENT.execution_suspended, execution.id, ask.said, ask.remaining_ms, ask.bindings, ask.condition)
  else
    ff.append(call, EVENT.execution_suspended, execution.id, ask.said, ask.remaining_ms, ask.bindings, ask.condition,
      ask.progress, ask.folded_text, once, '')
  end
end

-- The owner keeps its lease; only the timer of the used waitpoint is removed.
function ff.apply.suspension_skipped(call, execution, ask)
  begin(call, execution, ask)
  local used = ask.waitpoints[1]
  command('HSET', ask.kept.key, used.field, over(call, used, WAITPOINT_STATE.closed, 'resumed'),
    WAITS.closing, ff.waits_closing_text(call.now_text, 'resumed', TRIGGER.signal, ask.closer, string.match(execution.fence, '^%d+')),
    WAITS.progress, '')
  ff.set_timer(call, execution)
  ff.append(call, EVENT.suspension_skipped, execution.id, ask.said, ask.bindings, ask.condition, ask.progress, ask.folded_text,
    once_text(ask))
end

-- The stored text of a new signal; `place` is its number among the signals of the execution.
function ff.text_of_signal(call, signal, place)
  local text = signal.text .. '\t' .. call.now_text .. '\t' .. ff.digits(place)
  local carried, ended = signal.carried, signal.ended_children
  if ended ~= '' then return text .. '\t' .. (carried == '' and '\t\t\t\t' or carried) .. '\t' .. ended end
  return carried == '' and text or text .. '\t' .. carried
end

-- `signal` is the table of lua/suspension/deliver.lua; `text` is its text in the event.
function ff.apply.signal_accepted(call, execution, suspension, signal)
  local waitpoint, key = signal.waitpoint, suspension.key
  local change = {
    key, WAITS.signal .. signal.id, ff.text_of_signal(call, signal, suspension.signal_count + 1), WAITS.signal_count,
    ff.digits(suspension.signal_count + 1),
  }
  local matched = ff.count(waitpoint.matched_signal_count)
  if signal.is_matched then matched = matched + 1 end
  waitpoint.signal_count = ff.digits(ff.count(waitpoint.signal_count) + 1)
  waitpoint.matched_signal_count = matched > 0 and ff.digits(matched) or ''
  waitpoint.last_signal_at = call.now_text
  local function also(field, value)
    change[#change + 1] = field
    change[#change + 1] = value
  end
  -- If the suspension ends, all of it is written then.
  local closes = signal.effect == WORDS.effect.resume_condition_satisfied
  if not closes then also(waitpoint.field, ff.waitpoint_text(waitpoint)) end
  if signal.key ~= '' then also(WAITS.signal_key .. signal.waitpoint_id .. ':' .. signal.key, signal.id) end
  if signal.added ~= '' then
    if not closes then
      also(WAITS.progress, suspension.progress == '' and signal.added or suspension.progress .. '\n' .. signal.added)
    end
    also(WAITS.satisfiers, suspension.satisfiers == '' and signal.id or suspension.satisfiers .. ',' .. signal.id)
  end
  if signal.payload ~= '' then
    also(WAITS.payload_bytes, ff.digits(suspension.payload_bytes + #signal.payload))
    command('HSET', execution.key .. SUFFIX.payloads, signal.id, signal.payload)
  end
  if closes then suspension.change = change else command('HSET', unpack(change)) end
  ff.append_filtered(call, EVENT.signal_accepted, execution, 5, signal.id, signal.text, signal.added, signal.carried,
    execution.naming, '')
end

-- The execution resumes if there is a trigger; otherwise the next event ends it.
function ff.resume_suspended(call, execution, suspension, reason, trigger, closer, delay_until)
  ff.close_suspension(call, suspension, reason, trigger, closer)
  execution.suspension = false
  if trigger == TRIGGER.timeout and closer ~= '' then
    command('HSET', suspension.key, WAITS.satisfiers,
      suspension.satisfiers == '' and closer or suspension.satisfiers .. ',' .. closer)
  end
  if trigger ~= '' then
    local remaining_ms = ff.remaining_of(execution)
    if delay_until then
      ff.wait(call, execution, SITUATION.resume_delay, NEXT.resume, delay_until, remaining_ms)
    else
      ff.make_ready(call, execution, NEXT.resume, remaining_ms)
    end
  end
  ff.append(call, EVENT.suspension_closed, execution.id,
    reason .. '\t' .. trigger .. '\t' .. closer .. '\t' .. ff.text_of(delay_until), '')
end

-- The same, with the consequences for its flow.
function ff.apply.suspension_closed(call, execution, suspension, reason, trigger, closer, delay_until)
  ff.resume_suspended(call, execution, suspension, reason, trigger, closer, delay_until)
  if trigger ~= '' and execution.extras ~= '' then ff.settle_return(call, execution) end
end

-- Needs edits loaded.
function ff.apply.suspension_escalated(call, execution, suspension)
  command('HSET', suspension.key, WAITS.suspension, ff.waits_suspension_text(suspension.suspension_id, suspension.attempt_index,
    WORDS.reason.waiting_for_operator_review, suspension.suspended_by, '', suspension.timeout_behavior, suspension.resume_delay_ms,
    suspension.keeps_signals, suspension.retains_buffer, suspension.continuation_pointer, suspension.awaited_children,
    suspension.suspended_at))
  execution.due_at = ''
  ff.reorder_suspended(call, execution.id, execution.situation, execution.situation, '')
  local edits = ff.edited(call, execution)
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.pause, WORDS.reason.waiting_for_operator_review,
    FIELD.edits, edits)
  ff.set_timer(call, execution)
  ff.append(call, EVENT.suspension_escalated, execution.id)
end

-- Removes all waits and signals of an execution. The caller writes `life`.
function ff.discard_waits(execution)
  command('UNLINK', execution.key .. SUFFIX.waits, execution.key .. SUFFIX.payloads)
  local fields = { FIELD.pause, FIELD.kept }
  for i = 1, #fields do
    if string.find(execution.extras, fields[i], 1, true) then ff.drop_extra(execution, fields[i]) end
  end
  command('HDEL', execution.key, unpack(fields))
end
