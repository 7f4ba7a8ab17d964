-- What each event does to an execution and to its waiting; the twins of model/suspension/recipes.ts.

-- Closes a suspension and all of its waitpoints. Needs `ff.check_suspension`.
function ff.close_suspension(call, suspension, reason, trigger, closer)
  local change = { suspension.key, WAITS.closing, ff.waits_closing_text(call.now_text, reason, trigger, closer) }
  for i = 1, #suspension.waitpoints do
    local it = suspension.waitpoints[i]
    change[#change + 1] = it.field
    change[#change + 1] = ff.waits_waitpoint_text(it.waitpoint_key, WAITPOINT_STATE.closed, it.created_at, call.now_text, reason,
      it.signal_count, it.matched_signal_count, it.last_signal_at)
  end
  command('HSET', unpack(change))
end

-- `ask` is what the command gave: see lua/suspension/suspend.lua.
function ff.apply.execution_suspended(call, execution, ask)
  local key = execution.key .. SUFFIX.waits
  local change = {
    key, WAITS.suspension, ask.given .. '\t' .. call.now_text, WAITS.waitpoints, table.concat(ask.ids, ','),
    WAITS.condition, ask.condition,
  }
  for i = 1, #ask.ids do
    change[#change + 1] = WAITS.waitpoint .. ask.ids[i]
    change[#change + 1] = ff.waits_waitpoint_text(ask.keys[i], '', call.now_text, '', '', '', '', '')
  end
  command('HDEL', key, WAITS.closing, WAITS.progress, WAITS.satisfiers)
  command('HSET', unpack(change))
  ff.suspend(call, execution, ask.timeout_at, ask.remaining_ms, FIELD.pause, ask.reason)
  ff.append(call, EVENT.execution_suspended, execution.id, ask.given, ask.remaining_ms, ask.waitpoints, ask.condition)
end

-- `signal` as lua/suspension/deliver.lua makes it; `text` is what its event says of it.
function ff.apply.signal_accepted(call, execution, suspension, signal)
  local waitpoint, key = signal.waitpoint, suspension.key
  local change = {
    key, WAITS.signal .. signal.id, signal.text .. '\t' .. call.now_text .. (signal.carried == '' and '' or '\t' .. signal.carried),
    WAITS.signal_count, ff.digits(suspension.signal_count + 1),
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
  also(waitpoint.field, ff.waits_waitpoint_text(waitpoint.waitpoint_key, waitpoint.waitpoint_state, waitpoint.created_at,
    waitpoint.closed_at, waitpoint.close_reason, waitpoint.signal_count, waitpoint.matched_signal_count, call.now_text))
  if signal.key ~= '' then also(WAITS.signal_key .. signal.waitpoint_id .. ':' .. signal.key, signal.id) end
  if signal.added ~= '' then
    also(WAITS.progress, suspension.progress == '' and signal.added or suspension.progress .. '\n' .. signal.added)
    also(WAITS.satisfiers, suspension.satisfiers == '' and signal.id or suspension.satisfiers .. ',' .. signal.id)
  end
  if signal.payload ~= '' then
    also(WAITS.payload_bytes, ff.digits(suspension.payload_bytes + #signal.payload))
    command('HSET', execution.key .. SUFFIX.payloads, signal.id, signal.payload)
  end
  command('HSET', unpack(change))
  ff.append(call, EVENT.signal_accepted, execution.id, signal.id, signal.text, signal.added, signal.carried)
end

-- The execution goes on when there is a trigger; without one it is ended behind this.
function ff.apply.suspension_closed(call, execution, suspension, reason, trigger, closer, delay_until)
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

function ff.apply.suspension_escalated(call, execution, suspension)
  command('HSET', suspension.key, WAITS.suspension, ff.waits_suspension_text(suspension.suspension_id, suspension.attempt_index,
    WORDS.reason.waiting_for_operator_review, suspension.suspended_by, '', suspension.timeout_behavior, suspension.resume_delay_ms,
    suspension.suspended_at))
  execution.due_at = ''
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.pause, WORDS.reason.waiting_for_operator_review)
  ff.set_timer(call, execution)
  ff.append(call, EVENT.suspension_escalated, execution.id)
end
