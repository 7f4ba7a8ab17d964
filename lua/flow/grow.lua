-- grow_flow: see model/flow/grow.ts

local function grow(call, flow, graph)
  if ff.has_finished(flow) then ff.apply.flow_reopened(call, flow) end
  ff.grow(call, flow, graph)
  ff.write_flow(call, flow)
  ff.settle_flow(call, flow, graph.new_edges)
end

function ff.decide.grow_flow(call, flow_id, creator_identity, ...)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  ff.read_flow_given(flow)
  local graph = ff.read_graph(call, flow.namespace, creator_identity, ...)
  local members, edges = graph.members, graph.edges
  if ff.is_in_flow(call, members[1].id, flow_id) then
    ff.discard_inputs(members)
    return { KIND.already_satisfied, flow.revision }
  end
  if flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '' then return ff.reject('flow_already_terminal') end
  if flow.is_closed ~= '' then return ff.reject('flow_closed') end
  local refusal = ff.members_refusal(call, flow.nodes, flow.edges, members, #edges) or ff.edges_refusal(call, flow_id, graph)
  if refusal then return refusal end
  for i = 1, #edges do
    if ff.downstream_of(call, flow_id, edges[i].id) then return ff.reject('dependency_already_exists') end
  end
  ff.check_rights_to_flows(call)
  local revision = flow.revision + #members + #edges
  for i = 1, #members do
    if members[i].policy then revision = revision + 1 end
  end
  return { KIND.grown, revision }, grow, flow, graph
end
