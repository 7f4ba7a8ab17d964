-- move_to_waiting_children: see model/flow/waiting.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'wait', 'group')

function ff.prepare.move_to_waiting_children(_, source, attempt_index)
  return { source = source, attempt_index = attempt_index }
end

local STATE = {
  [GROUP_STATE.none] = 'none', [GROUP_STATE.pending] = 'none', [GROUP_STATE.satisfied] = 'satisfied',
  [GROUP_STATE.impossible] = 'impossible',
}

function ff.apply.children_awaited(call, execution, remaining_ms)
  ff.park_for_others(call, execution, remaining_ms)
  ff.append(call, EVENT.children_awaited, execution.id, remaining_ms, '')
  if execution.extras ~= '' then ff.settle_return(call, execution) end
end

-- Whether its attempt waits for its dependencies, or did until they were decided; the twin of `wasMoved`.
local function was_moved(execution)
  if execution.situation == SITUATION.blocked_dependencies then return execution.next_attempt == NEXT.resume end
  if not ff.has_returned(execution) then return false end
  ff.read_group(execution)
  return execution.group_state == GROUP_STATE.satisfied or execution.group_state == GROUP_STATE.impossible
end

function ff.decide.move_to_waiting_children(call, group, execution_id, fence)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, group.source, execution)
  if malformed then return malformed end
  if was_moved(execution) and ff.was_last_owner(execution, fence) then return KIND.moved end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  ff.read_group(execution)
  if execution.group_state ~= GROUP_STATE.pending or execution.dependency_count == '' then
    return { KIND.not_waiting, STATE[execution.group_state] }
  end
  ff.timers_of(call)
  return KIND.moved, ff.apply.children_awaited, execution, ff.remaining_at(call, execution)
end
