-- set_edge_group_policy: see model/flow/policy.ts

local load = ff.loader('naming', 'membership', 'group')

function ff.apply.edge_group_policy_set(call, flow, execution, policy)
  ff.note_extra(execution, FIELD.group)
  execution.group_state = GROUP_STATE.pending
  command('HSET', execution.key, FIELD.group, ff.text_of_group(execution), FIELD.life, ff.same_life(execution))
  flow.revision, flow.last_mutation_at = flow.revision + 1, call.now_text
  ff.write_flow(call, flow)
  ff.append(call, EVENT.edge_group_policy_set, execution.id, flow.id .. '\t' .. policy, '')
end

function ff.decide.set_edge_group_policy(call, flow_id, downstream_execution_id, policy)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.flow_state == FLOW_STATE.cancelled or flow.is_purging ~= '' then return ff.reject('flow_already_terminal') end
  local execution = load(call, downstream_execution_id)
  if not (execution and ff.is_member(execution) and ff.flow_of(execution) == flow_id) then
    return ff.reject('execution_not_in_flow', 'executionId', ff.execution_name(call, downstream_execution_id))
  end
  ff.count_group(execution)
  local letter, on_satisfied, quorum_k = string.match(policy, '^([^\t]*)\t([^\t]*)\t([^\t]*)$')
  if letter == GROUP_POLICY_LETTER.all_of then letter = GROUP_POLICY.all_of end
  if execution.group_state ~= GROUP_STATE.none and execution.group_policy == letter
    and execution.on_satisfied == on_satisfied and execution.quorum_k == quorum_k then
    return KIND.already_set
  end
  if execution.leading > 0 then return ff.reject('edge_group_policy_fixed') end
  if flow.is_closed ~= '' then return ff.reject('flow_closed') end
  if not ff.is_runnable(execution.situation) then return ff.not_eligible(execution) end
  execution.group_policy, execution.on_satisfied, execution.quorum_k = letter, on_satisfied, quorum_k
  return KIND.set, ff.apply.edge_group_policy_set, flow, execution, policy
end
