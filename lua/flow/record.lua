-- Reading flows and their members; the twin of what model/flow/view.ts shows.

local load = ff.record('flow', 'life', 'cancel')

local function flow_in(membership)
  return type(membership) == 'string' and string.match(membership, '^[^\t]+') or false
end

-- The id of the flow of a member; false when that cannot be read. Of a record that says it nothing more is noted: its table may
-- be taken for the next one.
function ff.flow_of(execution)
  local flow = execution.flow
  if flow ~= nil then return flow end
  if execution.membership then return flow_in(execution.membership) end
  flow = flow_in(guarded('HGET', execution.key, FIELD.membership))
  execution.flow = flow
  return flow
end

-- A flow with its life and its end read, or nil when there is none.
function ff.load_flow(call, id)
  local flow = load(call, id)
  if not flow then return nil end
  ff.read_flow_life(flow)
  ff.read_flow_cancel(flow)
  flow.nodes, flow.edges, flow.revision = ff.count(flow.node_count), ff.count(flow.edge_count), ff.count(flow.graph_revision)
  return flow
end

-- The flow that the call looked at last, as it stands: of many executions of a call, most are in one flow. What is written of
-- a flow takes it out of hand.
function ff.flow_in_hand(call, id)
  local flow = call.flow
  if flow and flow.id == id then return flow end
  flow = ff.load_flow(call, id)
  call.flow = flow or false
  return flow
end

-- The fields of the facet `life`. Numbers that grow stand beside the texts that were read.
local function life_of(flow)
  return ff.flow_life_text(flow.flow_state, flow.is_building, flow.is_closed, flow.revision == 0 and '' or ff.digits(flow.revision),
    flow.nodes == 0 and '' or ff.digits(flow.nodes), flow.edges == 0 and '' or ff.digits(flow.edges), flow.is_unordered,
    flow.last_mutation_at, flow.purge_at, flow.is_purging, flow.owing_groups)
end

-- Writes what changes of a flow.
function ff.write_flow(call, flow)
  call.flow = false
  command('HSET', flow.key, FLOW.life, life_of(flow))
end

-- Sets when something is due for a flow: it is cancelled if it is still being built, or its members are forgotten. The empty
-- text when nothing is.
function ff.set_flow_timer(call, flow, at)
  local timers, member = ff.timers_of(call), TIMER.flow .. flow.id
  if at == '' then
    ff.remove(timers, member)
  else
    ff.add_noted(timers, at, tonumber(at), member, at)
  end
end

-- Whether a flow is still being built; the twin of `isUnsealed`.
function ff.is_unsealed(flow)
  return flow.is_building ~= '' and flow.flow_state == FLOW_STATE.open
end

-- How many members of a flow have not ended.
function ff.live_members(call, flow_id)
  local name = LIMIT.counted_flow .. flow_id
  if call.counted ~= name then
    local counts, live = command('HMGET', call.base .. KEY.counts .. name, unpack(LIVE)), 0
    for i = 1, #LIVE do live = live + (tonumber(counts[i]) or 0) end
    call.counted, call.live = name, live
  end
  return call.live + ff.live_moves(name)
end

-- An edge as it is stored beside its downstream, read; nil when there is none.
function ff.edge_of(key, edge_id)
  local text = guarded('HGET', key .. SUFFIX.dependencies, edge_id)
  if not text then return nil end
  if type(text) == 'table' then ff.no_hash(text) end
  local edge = { id = edge_id, dependency = text }
  ff.read_edge_dependency(edge)
  return edge
end

-- The facts of a group as numbers; absent ones are zero.
function ff.count_group(execution)
  ff.read_group(execution)
  execution.needs_of_quorum = ff.count(execution.quorum_k)
  execution.leading, execution.succeeded = ff.count(execution.dependency_count), ff.count(execution.succeeded_count)
  execution.failed, execution.skipped = ff.count(execution.failed_count), ff.count(execution.skipped_count)
end

local function counted(number)
  return number == 0 and '' or ff.digits(number)
end

-- The facet `group`, as it is now.
function ff.text_of_group(execution)
  return ff.fit(execution.key, FIELD.group, ff.group_text(execution.group_policy, execution.on_satisfied, execution.quorum_k,
    counted(execution.leading), counted(execution.succeeded), counted(execution.failed), counted(execution.skipped),
    execution.group_state, execution.satisfied_at, execution.is_parent, execution.group_round))
end

-- What a group comes to; the twin of `decisionOf`: nil while it is undecided or was decided before.
function ff.group_decision(execution, flow)
  if flow.is_building ~= '' or execution.group_state ~= GROUP_STATE.pending then return nil end
  local count = execution.leading
  if count == 0 then return nil end
  local needed = count
  if execution.group_policy == GROUP_POLICY.any_of then
    needed = 1
  elseif execution.group_policy == GROUP_POLICY.quorum then
    needed = math.max(1, execution.needs_of_quorum)
  end
  if execution.succeeded >= needed then return GROUP_STATE.satisfied end
  if count < needed then return flow.is_closed ~= '' and GROUP_STATE.impossible or nil end
  if execution.failed + execution.skipped > count - needed then return GROUP_STATE.impossible end
  return nil
end

-- The group of a member, and its situation.
function ff.group_of(call, id)
  local texts = command('HMGET', call.base .. id, FIELD.group, FIELD.life)
  local group = { group = texts[1] or '', situation = texts[2] and string.sub(texts[2], 1, 1) or SITUATION.running }
  ff.read_group(group)
  return group
end

-- Whether an execution that has children ended badly: nobody needs them any more. Needs its group read.
function ff.has_orphaned(execution)
  local situation = execution.situation
  return execution.is_parent ~= '' and ff.is_terminal(situation) and situation ~= SITUATION.completed
end

local PARENT_REASON = {
  [SITUATION.failed] = 'parent_failed', [SITUATION.cancelled] = 'parent_cancelled', [SITUATION.expired] = 'parent_expired',
  [SITUATION.skipped] = 'parent_skipped',
}

-- The words in which upstreams are cancelled that a group, or a parent, does not need any more; the twin of `siblingReason`.
function ff.sibling_reason(group)
  if ff.has_orphaned(group) then return PARENT_REASON[group.situation] end
  return group.group_state == GROUP_STATE.satisfied and 'sibling_quorum_satisfied' or 'sibling_quorum_impossible'
end

-- Whether a flow that was cancelled has still to end a member; the twin of `owesCancel`.
function ff.owes_cancel(flow, situation)
  if flow.flow_state ~= FLOW_STATE.cancelled or ff.is_terminal(situation) then return false end
  if flow.cancellation_policy == CANCELLATION.flow_only then return false end
  return flow.cancellation_policy == CANCELLATION.cancel_all or ff.is_runnable(situation)
end

-- The words in which a flow was cancelled.
function ff.cancel_reason_of(flow)
  local text = command('HGET', flow.key, FLOW.cancel_reason)
  if text == LIMIT.spilled then return ff.spilled(flow.key, FLOW.cancel_reason) end
  return text or ''
end

-- When the members of the flow of an execution are forgotten; the empty text when that is not known.
function ff.purge_time_of_flow(call, execution)
  local flow = ff.load_flow(call, ff.flow_of(execution))
  return flow and flow.purge_at or ''
end

-- Whether an execution is owed one. Needs nothing loaded.
function ff.is_owed_cancel(call, execution)
  return ff.is_member(execution) and ff.owed_cancel(call, execution) ~= nil
end

local ID_LENGTH = 22

-- Whether a member is owed a cancellation that a walk has not come to yet: the words of it, or nil; the twin of `owedCancel`.
function ff.owed_cancel(call, execution)
  local flow = ff.flow_in_hand(call, ff.flow_of(execution))
  if not flow then return nil end
  if ff.owes_cancel(flow, execution.situation) then return ff.cancel_reason_of(flow) end
  if flow.owing_groups == '' then return nil end
  local leading = ff.leading_of(call, execution.id, '', -1)
  for i = 1, #leading do
    local downstream = string.sub(leading[i], ID_LENGTH + 1)
    if command('EXISTS', call.base .. WALK.key .. WALK_KIND.siblings .. downstream) == 1 then
      return ff.sibling_reason(ff.group_of(call, downstream))
    end
  end
  return nil
end
