-- create_flow: see model/flow/create.ts

function ff.apply.flow_created(call, flow, given, tags, build_deadline_at, graph)
  local key = flow.key
  command('HSET', key, FLOW.given, ff.fit(key, FLOW.given, given .. '\t' .. call.now_text .. '\t' .. build_deadline_at))
  if tags ~= '' then command('HSET', key, FLOW.tags, ff.fit(key, FLOW.tags, tags)) end
  command('ZADD', call.base .. KEY.flows, '0', flow.id)
  local phase = flow.is_building .. '\t' .. flow.is_closed .. '\t' .. build_deadline_at .. '\t' .. flow.kept_until
  ff.append(call, EVENT.flow_created, flow.id, given, phase, tags, '')
  if build_deadline_at ~= '' then ff.set_flow_timer(call, flow, build_deadline_at) end
  -- A new flow has no members yet.
  call.counted, call.live = LIMIT.counted_flow .. flow.id, 0
  ff.grow(call, flow, graph)
  ff.write_flow(call, flow)
  ff.settle_flow(call, flow, graph.new_edges)
end

function ff.decide.create_flow(call, flow_id, given, creator_identity, phase, tags, ...)
  local known = ff.load_flow(call, flow_id)
  local flow_kind, namespace = string.match(given, '^([^\t]*)\t([^\t]*)$')
  if known then
    ff.read_flow_given(known)
    if known.flow_kind ~= flow_kind or known.namespace ~= namespace then return ff.reject('flow_exists_differently') end
    ff.discard_inputs(ff.read_graph(call, namespace, creator_identity, ...).members)
    return { KIND.already_satisfied, known.revision }
  end
  local graph = ff.read_graph(call, namespace, creator_identity, ...)
  local refusal = ff.members_refusal(call, 0, 0, graph.members, #graph.edges) or ff.edges_refusal(call, flow_id, graph)
  if refusal then return refusal end
  command('ZCARD', call.base .. KEY.flows)
  ff.check_rights_to_flows(call)
  local is_building, is_closed, build_timeout_ms, dedup_window_ms = string.match(phase, '^([^\t]*)\t([^\t]*)\t(%d+)\t(%d*)$')
  local build_deadline_at = ''
  if is_building ~= '' then
    build_deadline_at = ff.digits(call.now + build_timeout_ms)
    ff.timers_of(call)
  end
  local flow = ff.new_flow(call, flow_id)
  flow.is_building, flow.is_closed = is_building, is_closed
  if dedup_window_ms ~= '' then flow.kept_until, flow.has_new_keeping = ff.digits(call.now + dedup_window_ms), true end
  local revision = #graph.members + #graph.edges
  for i = 1, #graph.members do
    if graph.members[i].policy then revision = revision + 1 end
  end
  return { KIND.created, revision }, ff.apply.flow_created, flow, given, tags, build_deadline_at, graph
end
