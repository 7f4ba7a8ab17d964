-- The effects of events on workers; the twins of model/worker/entity.ts. A dead worker has no record.

local function key_of(call, id)
  return call.base .. WORKER.key .. id
end

-- When it counts as dead without a further heartbeat. Needs identity and beat read.
function ff.expiry_of_worker(worker)
  local heard_at, ttl_ms = tonumber(worker.last_heartbeat_at), tonumber(worker.liveness_ttl_ms)
  return heard_at and ttl_ms and heard_at + ttl_ms or ff.damaged('its heartbeat is unreadable')
end

-- Checks all keys beside its record that a change of a worker writes.
function ff.check_workers(call)
  ff.timers_of(call)
  return command('ZCARD', call.base .. KEY.workers)
end

function ff.set_worker_timer(call, id, expires_at)
  local text = ff.digits(expires_at)
  ff.add_noted(ff.timers_of(call), text, expires_at, TIMER.worker .. id, text)
end

local function leave(call, id)
  command('UNLINK', key_of(call, id))
  command('ZREM', call.base .. KEY.workers, id)
  ff.remove(ff.timers_of(call), TIMER.worker .. id)
end

function ff.apply.worker_registered(call, id, identity, offer, expires_at)
  command('HSET', key_of(call, id), WORKER.identity, identity, WORKER.offer, offer,
    WORKER.beat, ff.worker_beat_text(call.now_text, '', ''))
  command('ZADD', call.base .. KEY.workers, '0', id)
  ff.set_worker_timer(call, id, expires_at)
  ff.append(call, EVENT.worker_registered, id, identity, offer)
end

function ff.apply.worker_heard(call, id, load, expires_at)
  command('HSET', key_of(call, id), WORKER.beat, call.now_text .. '\t' .. load)
  ff.set_worker_timer(call, id, expires_at)
  ff.append(call, EVENT.worker_heard, id, load, '')
end

function ff.apply.worker_marked_dead(call, id, requested_by, reason)
  leave(call, id)
  ff.append(call, EVENT.worker_marked_dead, id, requested_by, reason)
end

function ff.apply.worker_lapsed(call, worker)
  leave(call, worker.id)
  ff.append(call, EVENT.worker_lapsed, worker.id)
end
