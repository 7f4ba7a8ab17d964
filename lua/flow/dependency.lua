-- stage_dependency_edge, add_dependency, apply_dependency_to_child: see model/flow/dependency.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'grant', 'membership', 'group')

-- Why an edge from one execution to another is refused: a path leads back; the twin of `cycleOf`.
local function cycle_of(call, from, to)
  local met, waiting, count, edges = { [from] = true }, { from }, 1, 0
  local at = 1
  while waiting[at] do
    local leading = ff.leading_of(call, waiting[at], '', LIMIT.max_searched_edges - edges + 1)
    edges = edges + #leading
    if edges > LIMIT.max_searched_edges then return 'too_large' end
    for i = 1, #leading do
      local downstream = string.sub(leading[i], LIMIT.id_length + 1)
      if downstream == to then return 'cycle' end
      if not met[downstream] then
        if count == LIMIT.max_searched_members then return 'too_large' end
        met[downstream], count = true, count + 1
        waiting[count] = downstream
      end
    end
    at = at + 1
  end
  return nil
end

-- Whether the existing edge with this id equals the requested one.
local function is_same(call, edge, downstream)
  if downstream ~= edge.downstream then return false end
  local known = ff.edge_of(call.base .. downstream, edge.id)
  return known ~= nil and known.upstream == edge.upstream and known.data_passing_ref == edge.ref
end

function ff.apply.dependencies_staged(call, flow, execution, edge, is_backward, has_ended)
  if ff.has_finished(flow) then ff.apply.flow_reopened(call, flow) end
  ff.stage_edges(call, execution.key, { edge }, '')
  ff.lead(call, { edge }, {})
  command('HSET', call.base .. KEY.edges .. flow.id, edge.id, edge.downstream)
  execution.leading = execution.leading + 1
  execution.group_state = GROUP_STATE.pending
  ff.note_extra(execution, FIELD.group)
  command('HSET', execution.key, FIELD.group, ff.text_of_group(execution))
  if not ff.block_for_others(call, execution) then command('HSET', execution.key, FIELD.life, ff.same_life(execution)) end
  flow.edges, flow.revision, flow.last_mutation_at = flow.edges + 1, flow.revision + 1, call.now_text
  if is_backward then flow.is_unordered = '1' end
  ff.write_flow(call, flow)
  local staged = edge.id .. ' ' .. edge.upstream .. ' ' .. edge.ref
  ff.log_edges(call, flow.id, edge.downstream, staged, is_backward and '1' or '', '', '')
  local new_edges, tasks = {}, {}
  if has_ended then
    new_edges[1] = { edge = edge.id, upstream = edge.upstream, downstream = edge.downstream }
  elseif execution.failed + execution.skipped > 0 then
    -- The group can have reached the number that it needs when too many have failed.
    ff.add_tasks(tasks, ff.try_step(call, { kind = WALK_KIND.evaluate, flow = flow }, { id = edge.downstream }))
  end
  ff.settle_flow(call, flow, new_edges, tasks)
end

local function rank_of(execution)
  ff.read_membership(execution)
  return ff.count(execution.rank)
end

-- Whether an edge can be staged, or exists already; the twin of `verdictOn`.
local function decide(call, kind, flow_id, edge, expected_graph_revision)
  if edge.upstream == edge.downstream then return ff.reject('self_referencing_edge') end
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '' then return ff.reject('flow_already_terminal') end
  local known = ff.downstream_of(call, flow_id, edge.id)
  if known then
    if is_same(call, edge, known) then return { kind, flow.revision } end
    return ff.reject('dependency_already_exists')
  end
  if expected_graph_revision ~= '' and tonumber(expected_graph_revision) ~= flow.revision then
    return ff.reject('stale_graph_revision', 'graphRevision', ff.digits(flow.revision))
  end
  if flow.is_closed ~= '' then return ff.reject('flow_closed') end
  local upstream, downstream = load(call, edge.upstream), load(call, edge.downstream)
  if not (upstream and ff.is_member(upstream) and ff.flow_of(upstream) == flow_id) then
    return ff.reject('execution_not_in_flow', 'executionId', ff.execution_name(call, edge.upstream))
  end
  if not (downstream and ff.is_member(downstream) and ff.flow_of(downstream) == flow_id) then
    return ff.reject('execution_not_in_flow', 'executionId', ff.execution_name(call, edge.downstream))
  end
  ff.count_group(downstream)
  local state = downstream.group_state
  local is_decided = state == GROUP_STATE.satisfied or state == GROUP_STATE.impossible
  -- The group of a parent is one of its children, which end with it.
  if not ff.is_runnable(downstream.situation) or is_decided or downstream.is_parent ~= '' then
    return ff.not_eligible(downstream)
  end
  if flow.edges >= LIMIT.max_flow_edges then return ff.reject('flow_limit_exceeded', 'limit', 'maxFlowEdges') end
  if downstream.leading >= LIMIT.max_group_edges then return ff.reject('flow_limit_exceeded', 'limit', 'maxGroupEdges') end
  ff.check_rights_to_flows(call)
  local is_backward = rank_of(upstream) > rank_of(downstream)
  if is_backward or flow.is_unordered ~= '' then
    local reason = cycle_of(call, edge.downstream, edge.upstream)
    if reason then return ff.reject('cycle_detected', 'reason', reason) end
  end
  downstream.flow = flow_id
  ff.check_queue_of(call, downstream)
  return { kind, flow.revision + 1 }, ff.apply.dependencies_staged, flow, downstream, edge, is_backward, ff.is_terminal(upstream.situation)
end

function ff.decide.stage_dependency_edge(call, flow_id, edge_id, upstream_execution_id, downstream_execution_id,
  data_passing_ref, expected_graph_revision)
  local edge = { id = edge_id, upstream = upstream_execution_id, downstream = downstream_execution_id, ref = data_passing_ref }
  return decide(call, KIND.staged, flow_id, edge, expected_graph_revision)
end

function ff.decide.add_dependency(call, flow_id, edge_id, upstream_execution_id, downstream_execution_id,
  data_passing_ref, expected_graph_revision)
  local edge = { id = edge_id, upstream = upstream_execution_id, downstream = downstream_execution_id, ref = data_passing_ref }
  return decide(call, KIND.added, flow_id, edge, expected_graph_revision)
end

function ff.decide.apply_dependency_to_child(call, flow_id, edge_id, upstream_execution_id, downstream_execution_id)
  local execution = load(call, downstream_execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local other = ff.is_member(execution) and ff.flow_of(execution)
  if other and other ~= flow_id then
    return ff.reject('execution_already_in_flow', 'flowId', ff.execution_name(call, other))
  end
  local edge = ff.edge_of(execution.key, edge_id)
  if not edge or edge.upstream ~= upstream_execution_id then return ff.reject('invalid_dependency') end
  return KIND.already_applied
end
