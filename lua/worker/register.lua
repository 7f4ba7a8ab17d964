-- register_worker: see model/worker/register.ts

local load = ff.record('worker', 'identity', 'beat')

function ff.decide.register_worker(call, worker_instance_id, worker_id, liveness_ttl_ms, offer)
  local count = ff.check_workers(call)
  local known = load(call, worker_instance_id)
  local lives, registered_at = false, call.now_text
  if known then
    ff.read_worker_identity(known)
    ff.read_worker_beat(known)
    lives = call.now < ff.expiry_of_worker(known)
    if lives then registered_at = known.registered_at end
  end
  if lives and known.worker_id ~= worker_id then
    return ff.reject('invalid_input', 'field', 'workerId', 'reason', 'instance_id_reassigned')
  end
  if not known and count >= LIMIT.max_workers then
    return ff.reject('too_many_workers', 'maxWorkers', ff.digits(LIMIT.max_workers))
  end
  local expires_at = call.now + tonumber(liveness_ttl_ms)
  return { lives and KIND.refreshed or KIND.registered, ff.digits(expires_at) }, ff.apply.worker_registered, worker_instance_id,
    ff.worker_identity_text(worker_id, registered_at, liveness_ttl_ms), offer, expires_at
end
