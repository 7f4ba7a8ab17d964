-- Timers; the twin of model/schedule/timers.ts. An entity has at most one entry in the timers index: the earliest time
-- at which something is due for it.

-- The next timer of an execution as kind and time, or nil. Needs life read, and attempt_timeout_at,
-- execution_deadline_at, pending_expires_at and grant_expires_at where they can be set.
function ff.next_timer(execution)
  local situation = execution.situation
  local kind, at
  if situation == SITUATION.running then
    kind, at = 'lease', tonumber(execution.due_at)
  elseif ff.is_delayed(situation) then
    kind, at = 'delay', tonumber(execution.due_at)
  elseif ff.is_terminal(situation) then
    return nil
  elseif situation == SITUATION.suspended then
    kind, at = 'suspension', tonumber(execution.due_at)
  end
  local pending_until = tonumber(execution.pending_expires_at)
  if pending_until and (not at or pending_until < at) then kind, at = 'waitpoint', pending_until end
  -- A grant is valid up to and including its last millisecond.
  local grant_until = tonumber(execution.grant_expires_at)
  if grant_until and (not at or grant_until + 1 <= at) then kind, at = 'grant', grant_until + 1 end
  -- Of two that are due at the same time, the one that ends more comes first.
  local timeout_at = tonumber(execution.attempt_timeout_at)
  if timeout_at and (not at or timeout_at <= at) and ff.is_active(situation) then kind, at = 'attempt_timeout', timeout_at end
  local deadline_at = tonumber(execution.execution_deadline_at)
  if deadline_at and (not at or deadline_at <= at) then kind, at = 'execution_deadline', deadline_at end
  return kind, at
end

-- The timers in hand, after a check of their key.
function ff.timers_of(call)
  local timers = call.timers
  if timers then return timers end
  timers = ff.index(call, call.timers_key)
  command('ZCARD', timers.key)
  call.timers = timers
  return timers
end

-- Reads the facts of the next timer that were loaded and not read.
local function read_times(execution)
  if not execution.attempt_timeout_at and execution.timing then ff.read_timing(execution) end
  if not execution.execution_deadline_at and execution.bounds then ff.read_bounds(execution) end
  if not execution.grant_expires_at and execution.grant then ff.read_grant(execution) end
end

-- Writes the timer of an execution: the next one, or none.
function ff.set_timer(call, execution)
  read_times(execution)
  local _, at = ff.next_timer(execution)
  local member = TIMER.execution .. execution.id
  local timers = ff.timers_of(call)
  if at then
    local text = ff.digits(at)
    ff.add_noted(timers, text, at, member, text)
  else
    ff.remove(timers, member)
  end
end

-- Removes the timer of an execution that ends, if it can have one.
function ff.stop_timer(call, execution)
  if execution.situation == SITUATION.ready and execution.bounds == '' and not ff.is_granted(execution) then return end
  ff.remove(ff.timers_of(call), TIMER.execution .. execution.id)
end

-- A loop was told the next due time, or when to check again: it checks by then. Loops that were told an earlier time
-- check before.
function ff.note_look(call, at)
  local looks_by = call.looks_by
  if not at or looks_by and looks_by < at then call.looks_by = at or false end
end

-- After everything is written: announces a timer that is due before every loop checks again, so that none sleeps past
-- it. The earlier entries of the index do not matter for that.
function ff.announce_timers(call)
  local at, looks_by = call.timers and call.timers.new_score, call.looks_by
  if not at or looks_by and looks_by <= at then return end
  local note, _, score = ff.new_first(call.timers)
  if note == nil then return end
  ff.publish(call, CHANNEL.timers, call.partition .. '\t' .. (note or score))
  call.looks_by = tonumber(note or score)
end
