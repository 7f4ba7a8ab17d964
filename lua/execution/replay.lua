-- replay_execution: see model/execution/replay.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries', 'edits', 'progress', 'rules', 'wait',
  'membership', 'group')

-- The execution leaves the list of its slot at once when that is short, see `execution_purged`.
local function replay(call, execution, reason, requested_by, discards)
  if execution.slot_length then ff.leave_short_slot(call, execution) end
  local flow = execution.flow_to_reopen
  if flow then
    ff.apply.flow_reopened(call, flow)
    ff.write_flow(call, flow)
  end
  ff.apply.execution_replayed(call, execution, reason, requested_by, discards)
end

-- Why a member of a flow cannot run again, if it cannot. What forgets its flow is put off.
local function flow_refusal(call, execution)
  local flow = ff.load_flow(call, ff.flow_of(execution))
  if flow and (flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '') then
    return ff.reject('flow_already_terminal')
  end
  ff.read_group(execution)
  local is_open = command('EXISTS', call.base .. WALK.key .. WALK_KIND.resolve .. execution.id) == 0
    and not (flow and flow.is_building ~= '')
  local is_hopeless = execution.group_state == GROUP_STATE.impossible and execution.is_parent == ''
  if not is_open or is_hopeless then return ff.not_eligible(execution) end
  execution.flow_to_reopen = flow and flow.purge_at ~= '' and flow
  return nil
end

function ff.decide.replay_execution(call, execution_id, reason, requested_by, expected_replay_count, steps)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  ff.read_edits(execution)
  local replays = ff.count(execution.replay_count)
  if expected_replay_count ~= '' and replays > tonumber(expected_replay_count) then
    return { KIND.already_satisfied, 'already_replayed', replays }
  end
  if not ff.is_terminal(execution.situation) then return ff.reject('execution_not_terminal') end
  local cap = ff.rules(execution.rules).max_replay_count or LIMIT.default_max_replay_count
  if replays >= cap then return ff.reject('max_replays_exhausted', 'maxReplayCount', ff.digits(cap)) end
  local state = 'waiting'
  if ff.is_member(execution) then
    local refusal = flow_refusal(call, execution)
    if refusal then return refusal end
    execution.awaits_others = execution.group_state == GROUP_STATE.pending and execution.dependency_count ~= ''
    if execution.awaits_others then state = 'waiting_children' end
  end
  ff.check_queue_of(call, execution)
  if execution.due_at ~= '' and not ff.is_member(execution) then ff.check_slot(call, execution) end
  ff.read_bounds(execution)
  ff.read_given(execution)
  local discards = steps == 'discard' and (ff.has_steps(execution) or ff.has_waits(execution))
  return { KIND.replayed, state, replays + 1 }, replay, execution, reason, requested_by, discards
end
