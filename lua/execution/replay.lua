-- replay_execution: see model/execution/replay.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'retries', 'edits', 'progress', 'rules', 'wait',
  'membership', 'group')

-- The execution is removed from the list of its slot at once if that is short, see `execution_purged`.
local function replay(call, execution, reason, requested_by, discards)
  if execution.slot_length then ff.leave_short_slot(call, execution) end
  local flow = execution.flow_to_reopen
  if flow then
    ff.apply.flow_reopened(call, flow)
    ff.write_flow(call, flow)
  end
  local renewal = execution.renewal
  local edges = renewal and renewal.reopened or {}
  for i = 1, #edges do ff.apply.dependency_reopened(call, execution, edges[i]) end
  ff.apply.execution_replayed(call, execution, reason, requested_by, discards)
  if edges[1] then ff.settle_flow(call, renewal.flow, renewal.met) end
end

local function by_id(a, b)
  return ff.is_before(a.id, b.id)
end

-- The impossible edges of a member whose upstreams run again, or have completed since: of its group if that is
-- impossible, and of older groups of children.
local function revived_of(call, execution)
  local pairs_of, revived = command('HGETALL', execution.key .. SUFFIX.dependencies), {}
  local is_impossible = execution.group_state == GROUP_STATE.impossible
  for i = 1, #pairs_of, 2 do
    local edge = ff.read_edge(pairs_of[i], pairs_of[i + 1])
    local is_counted = edge.edge_round == execution.group_round
    local is_asked = is_counted and is_impossible or not is_counted and edge.edge_round ~= ''
    if is_asked and edge.edge_state == EDGE_STATE.impossible then
      local bucket = ff.bucket_of(call, edge.upstream)
      local is_live = not bucket and command('EXISTS', call.base .. edge.upstream) == 1
      if is_live or bucket == BUCKET.succeeded then
        edge.is_counted, edge.is_met = is_counted, not is_live
        revived[#revived + 1] = edge
      end
    end
  end
  table.sort(revived, by_id)
  return revived
end

-- The state of an impossible group once these edges are reopened, and resolved if they can be.
local function state_with(execution, flow, revived)
  local succeeded, failed, skipped = execution.succeeded, execution.failed, execution.skipped
  for i = 1, #revived do
    local edge = revived[i]
    if edge.is_counted then
      if edge.bucket == BUCKET.skipped then skipped = skipped - 1 else failed = failed - 1 end
      if edge.is_met then succeeded = succeeded + 1 end
    end
  end
  return ff.group_decision({
    group_policy = execution.group_policy, needs_of_quorum = execution.needs_of_quorum, group_state = GROUP_STATE.pending,
    leading = execution.leading, succeeded = succeeded, failed = failed, skipped = skipped,
  }, flow) or GROUP_STATE.pending
end

-- The groups of a member after a fresh look at its upstreams; the twin of `renewalOf`.
local function renewal_of(call, execution, flow)
  local revived, reopened, met, state = revived_of(call, execution), {}, {}, execution.group_state
  if state == GROUP_STATE.impossible then state = state_with(execution, flow, revived) end
  for i = 1, #revived do
    local edge = revived[i]
    -- A group that is still impossible is not changed: a parent continues with the results that it has.
    if not edge.is_counted or state ~= GROUP_STATE.impossible then
      reopened[#reopened + 1] = edge
      if edge.is_met then met[#met + 1] = { edge = edge.id, upstream = edge.upstream, downstream = execution.id } end
    end
  end
  return { flow = flow, reopened = reopened, met = met, state = state }
end

-- Whether all walks that concern a member are done.
local function is_settled(call, id)
  local base = call.base .. WALK.key
  return command('EXISTS', base .. WALK_KIND.resolve .. id, base .. WALK_KIND.siblings .. id) == 0
end

-- Why a member of a flow cannot be replayed, if so. The purge of its flow is postponed.
local function flow_refusal(call, execution)
  local flow = ff.load_flow(call, ff.flow_of(execution))
  if flow and (flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '') then
    return ff.reject('flow_already_terminal')
  end
  ff.count_group(execution)
  local has_older = ff.count(execution.group_round) > 1
  local renewal = flow and (execution.group_state == GROUP_STATE.impossible or has_older) and renewal_of(call, execution, flow)
  local is_open = is_settled(call, execution.id) and not (flow and flow.is_building ~= '')
  local is_hopeless = renewal and renewal.state == GROUP_STATE.impossible and execution.is_parent == ''
  if not is_open then return ff.reject('execution_not_eligible', 'reason', 'flow_unsettled') end
  if is_hopeless then return ff.reject('execution_not_eligible', 'reason', 'dependencies_failed') end
  execution.renewal = renewal
  execution.flow_to_reopen = flow and ff.has_finished(flow) and flow
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
    local old_state = execution.group_state
    local new_state = execution.renewal and execution.renewal.state or old_state
    -- The edges of a group that is asked again are resolved after it is pending.
    local is_pending = old_state == GROUP_STATE.pending or new_state ~= old_state
    execution.awaits_others = is_pending and execution.leading > 0
    if new_state == GROUP_STATE.pending and execution.leading > 0 then state = 'waiting_children' end
  end
  ff.check_queue_of(call, execution)
  if execution.due_at ~= '' and not ff.is_member(execution) then ff.check_slot(call, execution) end
  ff.read_bounds(execution)
  ff.read_given(execution)
  local discards = steps == 'discard' and (ff.has_steps(execution) or ff.has_waits(execution))
  return { KIND.replayed, state, replays + 1 }, replay, execution, reason, requested_by, discards
end
