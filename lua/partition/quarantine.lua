-- list_quarantined, retry_quarantined, drop_quarantined: see model/partition/quarantine.ts

local load = ff.loader('*')

local function quarantine_key(call)
  return call.base .. KEY.quarantine
end

-- Looks at an entry: nothing when there is none. Answers its kind and its id.
local function entry_of(call, name)
  if not command('HGET', quarantine_key(call), name) then return nil end
  return string.match(name, '^([%a_]+):(.*)$')
end

-- list_quarantined: cursor, limit
-- Answers the next cursor, and names and values.
function ff.query.list_quarantined(call, cursor, limit)
  return command('HSCAN', quarantine_key(call), cursor, 'COUNT', limit)
end

local function retry_execution(call, name, execution)
  command('HDEL', quarantine_key(call), name)
  ff.reindex(call, execution)
end

-- It is looked at again when due work is applied next.
local function retry_other(call, name)
  command('HDEL', quarantine_key(call), name)
  local timers = ff.timers_of(call)
  ff.add_noted(timers, call.now_text, call.now, name, call.now_text)
  call.mended = true
end

function ff.decide.retry_quarantined(call, name)
  local kind, id = entry_of(call, name)
  if not kind then return { KIND.already_satisfied, 'not_quarantined' } end
  ff.timers_of(call)
  if kind ~= 'execution' then return { KIND.retried, '' }, retry_other, name end
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    return { KIND.still_damaged, ff.words_of(execution) }
  end
  if not execution then return { KIND.still_damaged, 'the record is missing' } end
  ff.check_reindex(call, execution)
  return { KIND.retried, PUBLIC_STATE[execution.situation] }, retry_execution, name, execution
end

-- What can still be read of an execution is taken out of what it stands in.
local function forget(call, id, execution)
  ff.leave_id(call, id)
  ff.remove(ff.timers_of(call), TIMER.execution .. id)
  if not execution then return end
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.tally(call, ff.lane_of(execution), execution.situation, nil)
  if ff.is_member(execution) then ff.forget_member(call, execution) end
  if SHELVED[execution.situation] then ff.unshelve(call, execution.situation, id) end
  ff.reshelve_tags(call, id, execution.tags, '')
  if ff.is_held(execution) then
    ff.tally(call, ff.lane_of(execution), LIMIT.held, nil)
    ff.unshelve(call, LIMIT.held, id)
  end
end

function ff.apply.execution_dropped(call, name, id, execution, requested_by, reason, streams)
  local key = call.base .. id
  ff.remove_streams(call, { id = id }, streams)
  forget(call, id, execution)
  command('UNLINK', key, key .. SUFFIX.details, key .. SUFFIX.input, key .. SUFFIX.waits,
    key .. SUFFIX.payloads, key .. SUFFIX.steps)
  if execution then command('UNLINK', ff.result_key(execution)) end
  command('HDEL', quarantine_key(call), name)
  ff.append(call, EVENT.execution_dropped, id, requested_by, reason)
end

local function drop_other(call, name)
  command('HDEL', quarantine_key(call), name)
end

function ff.decide.drop_quarantined(call, name, reason, requested_by)
  local kind, id = entry_of(call, name)
  if not kind then return { KIND.already_satisfied, 'not_quarantined' } end
  if kind ~= 'execution' then return KIND.dropped, drop_other, name end
  ff.timers_of(call)
  ff.check_ids(call, id)
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    execution = nil
  end
  if execution and ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return KIND.dropped, ff.apply.execution_dropped, name, id, execution, requested_by, reason, ff.streams_of_damaged(call, id)
end
