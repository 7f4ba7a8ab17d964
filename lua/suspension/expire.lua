-- expire_suspension: see model/suspension/expire.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'retries', 'rules', 'wait', 'streams')

function ff.decide.expire_suspension(call, execution_id)
  local execution = load(call, execution_id)
  if not execution then return { KIND.already_satisfied, 'not_found_cleaned' } end
  if execution.situation ~= SITUATION.suspended then return { KIND.already_satisfied, 'not_suspended_cleaned' } end
  if execution.due_at == '' or not ff.has_passed(call, execution.due_at) then return { KIND.already_satisfied, 'not_yet_due' } end
  local apply, suspension, ending = ff.suspension_timeout(call, execution)
  return { KIND.expired, WORDS.behavior_word[suspension.timeout_behavior] }, apply, execution, suspension, ending
end
