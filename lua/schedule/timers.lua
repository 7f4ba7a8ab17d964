-- What happens by itself; the twin of model/schedule/timers.ts. An execution has at most one entry in the timers
-- index: the earliest time at which something is due for it.

-- The next timer of an execution as kind and time, or nil. Needs situation, dueAt, attemptTimeoutAt and
-- executionDeadlineAt.
function ff.next_timer(execution)
  local situation = execution.situation
  local kind, at
  if situation == 'running' then
    kind, at = 'lease', tonumber(execution.dueAt)
  elseif ff.is_delayed(situation) then
    kind, at = 'delay', tonumber(execution.dueAt)
  elseif ff.is_terminal(situation) then
    return nil
  end
  -- Of two that are due at once, the one that ends more comes first.
  local timeout_at = tonumber(execution.attemptTimeoutAt)
  if timeout_at and (not at or timeout_at <= at) and ff.is_active(situation) then kind, at = 'attempt_timeout', timeout_at end
  local deadline_at = tonumber(execution.executionDeadlineAt)
  if deadline_at and (not at or deadline_at <= at) then kind, at = 'execution_deadline', deadline_at end
  return kind, at
end

-- Writes the entry of an execution: its next timer, or none.
function ff.set_timer(call, execution)
  local _, at = ff.next_timer(execution)
  if at then
    store('ZADD', call.base .. K.timers, at, execution.uuid)
  else
    store('ZREM', call.base .. K.timers, execution.uuid)
  end
  return at
end

-- Writes the entry and says so when nothing is due earlier, so that the engine does not sleep past it.
function ff.announce_timer(call, execution)
  if call.ended then ff.settle_ended(call) end
  local at = ff.set_timer(call, execution)
  if at and store('ZRANGE', call.base .. K.timers, 0, 0)[1] == execution.uuid then
    -- A hint: a user without rights on channels is served all the same.
    server.pcall('PUBLISH', ff.prefix(call) .. C.timers, ff.partition(call) .. ' ' .. ff.digits(at))
  end
end

-- An execution that something outside removed leaves index entries behind. They are dropped where they are met, so
-- that one of them cannot keep everything behind it waiting.
function ff.forget_timer(call, execution_id)
  store('ZREM', call.base .. K.timers, ff.uuid(execution_id))
end

function ff.forget_retained(call, execution_id)
  local timers = call.base .. K.timers
  local members = store('ZRANGEBYSCORE', timers, '-inf', call.now)
  for i = 1, #members do
    local at = string.match(members[i], '^' .. K.slotTimer .. '(%d+)$')
    local slot = at and call.base .. K.slot .. at
    if slot and store('LREM', slot, 1, ff.uuid(execution_id)) == 1 and store('EXISTS', slot) == 0 then
      store('ZREM', timers, members[i])
    end
  end
end

-- Files a terminal execution under the time of its purge, when the call settles.
function ff.retain(call, execution, purge_at)
  local ended = call.ended
  if ended and ended.purge_at ~= purge_at then
    ff.settle_ended(call)
    ended = nil
  end
  if not ended then
    call.ended = { execution.uuid, purge_at = purge_at }
  else
    ended[#ended + 1] = execution.uuid
    if #ended >= L.maxUnsettled then ff.settle_ended(call) end
  end
end

-- Takes the timers of what ended away. A retention slot has one timer for all that is in it.
function ff.settle_ended(call)
  local ended = call.ended
  call.ended = nil
  local timers = call.base .. K.timers
  local slot = ff.digits(ended.purge_at)
  store('ZREM', timers, unpack(ended))
  if store('RPUSH', call.base .. K.slot .. slot, unpack(ended)) == #ended then
    store('ZADD', timers, ended.purge_at, K.slotTimer .. slot)
  end
end

function ff.is_active(situation)
  return situation == 'running' or ff.is_reclaimable(situation)
end

function ff.is_delayed(situation)
  return situation == 'delayed' or situation == 'retry_backoff'
end

function ff.is_runnable(situation)
  return situation == 'ready' or ff.is_delayed(situation)
end

function ff.is_terminal(situation)
  return situation == 'completed' or situation == 'failed' or situation == 'cancelled' or situation == 'expired'
end
