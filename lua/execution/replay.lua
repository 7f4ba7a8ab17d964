-- replay_execution: see model/execution/replay.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries', 'edits', 'progress', 'rules', 'wait')

-- The execution leaves the list of its slot at once when that is short, see `execution_purged`.
local function replay(call, execution, reason, requested_by, discards)
  if execution.slot_length then ff.leave_short_slot(call, execution) end
  ff.apply.execution_replayed(call, execution, reason, requested_by, discards)
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
  ff.check_queue_of(call, execution)
  if execution.due_at ~= '' then ff.check_slot(call, execution) end
  ff.read_bounds(execution)
  ff.read_given(execution)
  local discards = steps == 'discard' and ff.has_steps(execution)
  return { KIND.replayed, replays + 1 }, replay, execution, reason, requested_by, discards
end
