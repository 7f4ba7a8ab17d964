-- mark_worker_dead: see model/worker/mark-dead.ts

local load = ff.record('worker', 'identity')

function ff.decide.mark_worker_dead(call, worker_instance_id, reason, requested_by)
  ff.check_workers(call)
  if not load(call, worker_instance_id) then return KIND.not_registered end
  return KIND.marked, ff.apply.worker_marked_dead, worker_instance_id, requested_by, reason
end
