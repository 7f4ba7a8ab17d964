-- seal_flow, close_flow: see model/flow/seal.ts

function ff.apply.flow_sealed(call, flow)
  if ff.has_build_deadline(flow) then ff.set_flow_timer(call, flow, '') end
  flow.is_building, flow.last_mutation_at = '', call.now_text
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_sealed, flow.id)
  ff.settle_flow(call, flow, {}, { ff.evaluation_of(flow) })
end

function ff.apply.flow_closed(call, flow)
  flow.is_closed, flow.last_mutation_at = '1', call.now_text
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_closed, flow.id)
  ff.settle_flow(call, flow, {}, flow.is_building == '' and { ff.evaluation_of(flow) } or {})
end

function ff.decide.seal_flow(call, flow_id)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.is_building == '' then return { KIND.already_satisfied, 'already_sealed' } end
  if flow.is_purging ~= '' or flow.flow_state == FLOW_STATE.cancelled and flow.cancellation_policy ~= CANCELLATION.flow_only then
    return ff.reject('flow_already_terminal')
  end
  ff.timers_of(call)
  return KIND.sealed, ff.apply.flow_sealed, flow
end

function ff.decide.close_flow(call, flow_id)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.is_closed ~= '' then return { KIND.already_satisfied, 'already_closed' } end
  ff.timers_of(call)
  return KIND.closed, ff.apply.flow_closed, flow
end
