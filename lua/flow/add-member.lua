-- add_execution_to_flow: see model/flow/add-member.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'rules', 'membership', 'grant')

function ff.apply.flow_member_added(call, flow, execution)
  if ff.has_finished(flow) then ff.apply.flow_reopened(call, flow) end
  local rank = flow.nodes == 0 and '' or ff.digits(flow.nodes)
  ff.note_extra(execution, FIELD.membership)
  execution.flow = flow.id
  ff.tally(call, LIMIT.counted_flow .. flow.id, nil, execution.situation)
  command('HSET', execution.key, FIELD.membership, flow.id .. '\t' .. rank)
  if flow.is_building == '' or not ff.block_for_others(call, execution) then
    command('HSET', execution.key, FIELD.life, ff.same_life(execution))
  end
  command('ZADD', call.base .. KEY.members .. flow.id, ff.digits(flow.nodes), execution.id)
  local keeping = ff.keep_with_existing(flow, execution, flow.nodes == 0)
  flow.nodes, flow.revision, flow.last_mutation_at = flow.nodes + 1, flow.revision + 1, call.now_text
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_member_added, execution.id, flow.id .. '\t' .. rank .. '\t' .. flow.is_building .. '\t' .. keeping, '')
end

function ff.decide.add_execution_to_flow(call, flow_id, execution_id)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '' then return ff.reject('flow_already_terminal') end
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local other = ff.is_member(execution) and ff.flow_of(execution)
  if other == flow_id then return { KIND.already_member, flow.nodes } end
  if other then return ff.reject('execution_already_in_flow', 'flowId', ff.execution_name(call, other)) end
  if flow.is_closed ~= '' then return ff.reject('flow_closed') end
  ff.read_flow_given(flow)
  if ff.split_naming(execution.naming) ~= flow.namespace then return ff.reject('invalid_input', 'field', 'namespace') end
  if flow.nodes >= LIMIT.max_flow_members then return ff.reject('flow_limit_exceeded', 'limit', 'maxFlowMembers') end
  local situation = execution.situation
  if ff.is_terminal(situation) or flow.is_building ~= '' and not ff.is_runnable(situation) then
    return ff.not_eligible(execution)
  end
  ff.check_queue_of(call, execution)
  ff.check_rights_to_flows(call)
  return { KIND.added, flow.nodes + 1 }, ff.apply.flow_member_added, flow, execution
end
