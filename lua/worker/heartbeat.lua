-- heartbeat_worker: see model/worker/heartbeat.ts

local load_worker = ff.record('worker', 'identity', 'beat')

function ff.decide.heartbeat_worker(call, worker_instance_id, load)
  ff.timers_of(call)
  local known = load_worker(call, worker_instance_id)
  if not known then return KIND.not_registered end
  ff.read_worker_identity(known)
  ff.read_worker_beat(known)
  if call.now >= ff.expiry_of_worker(known) then return KIND.not_registered end
  local expires_at = call.now + tonumber(known.liveness_ttl_ms)
  return { KIND.refreshed, ff.digits(expires_at) }, ff.apply.worker_heard, worker_instance_id, load, expires_at
end

-- What is due for a worker without a heartbeat. A worker that had one, and was set aside by mistake, gets its timer
-- again.
function ff.due.worker(call, id)
  ff.check_workers(call)
  local worker = load_worker(call, id) or ff.damaged('the record is missing')
  ff.read_worker_identity(worker)
  ff.read_worker_beat(worker)
  local expires_at = ff.expiry_of_worker(worker)
  if call.now >= expires_at then return { entity = worker, kind = 'worker', apply = ff.apply.worker_lapsed } end
  return { entity = id, kind = 'worker', apply = ff.set_worker_timer, a = expires_at }
end
