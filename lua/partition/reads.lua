-- Reads. Each answers plain values; their meaning is given to them by the reads of model/, which run on what these return.

-- read_execution: execution_id, with_payload, with_result
-- Answers core pairs, detail pairs, payload, result; empty lists when the execution does not exist.
function ff.queries.read_execution(call, execution_id, with_payload, with_result)
  local key = call.base .. ff.uuid(execution_id)
  return {
    store('HGETALL', key),
    store('HGETALL', key .. X.details),
    with_payload == '1' and (store('HGET', key, F.payload) or store('GET', key .. X.payload)),
    with_result == '1' and (store('HGET', key, F.result) or store('GET', key .. X.result)),
  }
end

-- list_executions: after? (a UUID), limit
-- Answers UUIDs.
function ff.queries.list_executions(call, after, limit)
  return store('ZRANGEBYLEX', call.base .. K.ids, after ~= '' and '(' .. after or '-', '+', 'LIMIT', 0, limit)
end

-- list_lanes
function ff.queries.list_lanes(call)
  return store('SMEMBERS', call.base .. K.lanes)
end

local TIMER_FIELDS = ff.fields('dueAt', 'attemptTimeoutAt', 'executionDeadlineAt')

-- list_due: limit
-- Answers (UUID, kind) pairs of what is due, UUIDs of what must be purged, and the earliest time at which anything is due.
function ff.queries.list_due(call, limit_text)
  local limit = tonumber(limit_text)
  local timers = call.base .. K.timers
  local due, slots, purgeable = {}, {}, {}
  -- Slots sort among the executions: look on behind them, so that purges keep nothing else waiting.
  local offset = 0
  repeat
    local members = store('ZRANGEBYSCORE', timers, '-inf', call.now, 'LIMIT', offset, limit)
    for i = 1, #members do
      local slot = string.match(members[i], '^' .. K.slotTimer .. '(%d+)$')
      if slot then
        slots[#slots + 1] = slot
      elseif #due < limit * 2 then
        local execution = ff.load(call, members[i], TIMER_FIELDS)
        due[#due + 1] = members[i]
        -- A timer whose record is gone must not keep the others waiting: the command that is due takes it away.
        due[#due + 1] = execution and ff.next_timer(execution) or 'lease'
      end
    end
    offset = offset + #members
  until #members < limit or #due >= limit * 2
  local room = limit - #due / 2
  for i = 1, #slots do
    if #purgeable >= room then break end
    local ids = store('LRANGE', call.base .. K.slot .. slots[i], 0, room - #purgeable - 1)
    for j = 1, #ids do purgeable[#purgeable + 1] = ids[j] end
  end
  return { due, purgeable, store('ZRANGE', timers, 0, 0, 'WITHSCORES')[2] or false }
end

-- read_log: after, limit
-- Answers entries after the position and the position of the newest one.
function ff.queries.read_log(call, after, limit)
  if store('EXISTS', call.log_key) == 0 then return { {}, '0-0' } end
  local info = store('XINFO', 'STREAM', call.log_key)
  local last
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  return { store('XRANGE', call.log_key, '(0-' .. after, '+', 'COUNT', limit), last }
end
