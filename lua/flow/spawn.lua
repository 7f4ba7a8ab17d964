-- spawn_children: see model/flow/spawn.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'rules', 'membership', 'group')

local CHILDREN = 'children'

function ff.prepare.spawn_children(_, source, attempt_index)
  return { source = source, attempt_index = attempt_index }
end

-- Creates a flow with the parent as its first member.
local function begin(call, flow, execution)
  local given = CHILDREN .. '\t' .. flow.namespace
  command('HSET', flow.key, FLOW.given, ff.fit(flow.key, FLOW.given, given .. '\t' .. call.now_text))
  command('ZADD', call.base .. KEY.flows, '0', flow.id)
  ff.append(call, EVENT.flow_created, flow.id, given, '\t\t\t', '', '')
  ff.note_extra(execution, FIELD.membership)
  execution.flow = flow.id
  ff.tally(call, LIMIT.counted_flow .. flow.id, nil, execution.situation)
  command('HSET', execution.key, FIELD.membership, flow.id .. '\t')
  command('ZADD', call.base .. KEY.members .. flow.id, '0', execution.id)
  ff.append(call, EVENT.flow_member_added, execution.id, flow.id .. '\t\t\t' .. ff.keep_with_existing(flow, execution, true), '')
  flow.nodes, flow.revision = 1, 1
end

local function spawn(call, flow, execution, graph, edges, policy, is_same)
  if flow.is_new then begin(call, flow, execution) end
  ff.grow(call, flow, graph)
  if not is_same then
    local letter, on_satisfied, quorum_k = string.match(policy, '^([^\t]*)\t([^\t]*)\t([^\t]*)$')
    execution.group_policy = letter == GROUP_POLICY_LETTER.all_of and GROUP_POLICY.all_of or letter
    execution.on_satisfied, execution.quorum_k = on_satisfied, quorum_k
    execution.group_round = ff.digits(ff.count(execution.group_round) + 1)
    execution.leading, execution.succeeded, execution.failed, execution.skipped = 0, 0, 0, 0
    execution.satisfied_at = ''
    flow.revision = flow.revision + 1
    ff.append(call, EVENT.edge_group_policy_set, execution.id, flow.id .. '\t' .. policy, '')
  end
  execution.group_state, execution.is_parent = GROUP_STATE.pending, '1'
  execution.leading, execution.open = execution.leading + #edges, execution.open + #edges
  local leads = {}
  for i = 1, #edges do leads[2 * i - 1], leads[2 * i] = edges[i].id, execution.id end
  ff.log_edges(call, flow.id, execution.id, graph.staged, '1', '1', execution.group_round)
  ff.stage_edges(call, execution.key, edges, execution.group_round)
  ff.set_all(call.base .. KEY.edges .. flow.id, leads)
  ff.lead(call, edges, graph.by_id)
  ff.note_extra(execution, FIELD.group)
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.group, ff.text_of_group(execution))
  flow.edges, flow.revision, flow.is_unordered = flow.edges + #edges, flow.revision + #edges, '1'
  ff.write_flow(call, flow)
end

-- Whether the children join the set that the parent already waits for.
local function is_same_round(execution, as_new_group)
  return as_new_group == '' and execution.group_state == GROUP_STATE.pending and execution.is_parent ~= '' and execution.leading > 0
end

local function has_policy(execution, policy)
  local letter, on_satisfied, quorum_k = string.match(policy, '^([^\t]*)\t([^\t]*)\t([^\t]*)$')
  if letter == GROUP_POLICY_LETTER.all_of then letter = GROUP_POLICY.all_of end
  return execution.group_policy == letter and execution.on_satisfied == on_satisfied and execution.quorum_k == quorum_k
end

local function spawn_refusal(call, flow, execution, graph, edges, policy, is_same)
  if flow.flow_state == FLOW_STATE.cancelled then return ff.reject('flow_already_terminal') end
  if is_same and not has_policy(execution, policy) then return ff.reject('edge_group_policy_fixed') end
  if command('EXISTS', call.base .. WALK.key .. WALK_KIND.siblings .. execution.id) == 1 then
    return ff.not_eligible(execution)
  end
  local refusal = ff.members_refusal(call, flow.nodes, flow.edges, graph.members, #edges)
  if refusal then return refusal end
  for i = 1, #edges do
    if ff.downstream_of(call, flow.id, edges[i].id) then return ff.reject('dependency_already_exists') end
  end
  return nil
end

function ff.decide.spawn_children(call, group, execution_id, fence, flow_id, policy, as_new_group, ...)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local malformed = ff.fence_shape(fence, group.source, execution)
  if malformed then return malformed end
  local refusal = ff.work_verdict(call, execution, fence, group.attempt_index)
  if refusal then return refusal end
  ff.count_group(execution)
  local namespace, _, _, creator_identity = ff.split_naming(execution.naming)
  local flow = ff.is_member(execution) and ff.load_flow(call, ff.flow_of(execution))
  local graph, edges = ff.read_children(call, namespace, creator_identity, execution_id, ...)
  if flow then
    flow_id = flow.id
    if ff.is_in_flow(call, graph.members[1].id, flow_id) then
      ff.discard_inputs(graph.members)
      return { KIND.already_spawned, flow_id }
    end
  else
    if command('EXISTS', call.base .. FLOW.key .. flow_id) == 1 then return ff.reject('invalid_input', 'field', 'flowId') end
    flow = ff.new_flow(call, flow_id)
    -- Its first member is the parent.
    flow.namespace, flow.nodes, flow.is_new = namespace, 1, true
  end
  local is_same = is_same_round(execution, as_new_group)
  local wrong = spawn_refusal(call, flow, execution, graph, edges, policy, is_same)
  if wrong then return wrong end
  command('ZCARD', call.base .. KEY.flows)
  ff.check_rights_to_flows(call)
  return { KIND.spawned, flow_id }, spawn, flow, execution, graph, edges, policy, is_same
end
