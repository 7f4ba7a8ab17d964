-- update_progress: see model/execution/progress.ts

local load = ff.loader('bounds', 'fence', 'timing', 'progress')

function ff.decide.update_progress(call, execution_id, fence, progress_pct, progress_message)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local refusal = ff.work_verdict(call, execution, fence, '')
  if refusal then return refusal end
  return KIND.updated, ff.apply.progress_updated, execution, progress_pct, progress_message
end
