-- delay_execution: see model/execution/delay.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'wait')

function ff.prepare.delay_execution(_, source, attempt_index)
  return { source = source, attempt_index = attempt_index }
end

function ff.decide.delay_execution(call, group, execution_id, fence, delay_until)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, group.source, execution)
  if malformed then return malformed end
  local parked_before
  if execution.situation == SITUATION.delayed then
    parked_before = execution.next_attempt == NEXT.resume and execution.due_at == delay_until
  else
    parked_before = ff.has_returned(execution) and ff.has_passed(call, delay_until)
  end
  if parked_before and ff.was_last_owner(execution, fence) then return KIND.delayed end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  ff.timers_of(call)
  return KIND.delayed, ff.apply.execution_delayed, execution, tonumber(delay_until), ff.remaining_at(call, execution)
end
