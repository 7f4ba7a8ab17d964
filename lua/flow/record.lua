-- Reading flows and their members; the twin of model/flow/view.ts.

local load = ff.record('flow', 'life', 'keeping', 'cancel')

local function flow_in(membership)
  if type(membership) ~= 'string' then return false end
  local is_whole = string.sub(membership, LIMIT.id_length + 1, LIMIT.id_length + 1) == '\t'
  return is_whole and string.sub(membership, 1, LIMIT.id_length) or string.match(membership, '^[^\t]+') or false
end

-- The id of the flow of a member; false when it cannot be read. Nothing else of the record is kept, because its table
-- may be reused for the next one.
function ff.flow_of(execution)
  local flow = execution.flow
  if flow ~= nil then return flow end
  if execution.membership then return flow_in(execution.membership) end
  flow = flow_in(guarded('HGET', execution.key, FIELD.membership))
  execution.flow = flow
  return flow
end

-- A flow with its life and its end read, or nil when it does not exist.
function ff.load_flow(call, id)
  local flow = load(call, id)
  if not flow then return nil end
  ff.read_flow_life(flow)
  ff.read_flow_keeping(flow)
  ff.read_flow_cancel(flow)
  flow.nodes, flow.edges, flow.revision = ff.count(flow.node_count), ff.count(flow.edge_count), ff.count(flow.graph_revision)
  return flow
end

-- A flow that is being created.
function ff.new_flow(call, id)
  return {
    id = id, key = call.base .. FLOW.key .. id, nodes = 0, edges = 0, revision = 0, flow_state = FLOW_STATE.open,
    is_building = '', is_closed = '', is_unordered = '', last_mutation_at = call.now_text, purge_at = '', is_purging = '',
    owing_groups = '', is_kept = '', keeping = '', has_own_retention = '', has_member_for_good = '', longest_retention_ms = '',
    kept_until = '', cancellation_policy = CANCELLATION.flow_only,
  }
end

-- The last flow of the call, in its current state: executions of one call are mostly in one flow. A write to a flow
-- clears it.
function ff.flow_in_hand(call, id)
  local flow = call.flow
  if flow and flow.id == id then return flow end
  flow = ff.load_flow(call, id)
  call.flow = flow or false
  return flow
end

-- The values of the facet `life`. Growing numbers are kept beside the texts that were read.
local function life_of(flow)
  return ff.flow_life_text(flow.flow_state, flow.is_building, flow.is_closed, flow.revision == 0 and '' or ff.digits(flow.revision),
    flow.nodes == 0 and '' or ff.digits(flow.nodes), flow.edges == 0 and '' or ff.digits(flow.edges), flow.is_unordered,
    flow.last_mutation_at, flow.purge_at, flow.is_purging, flow.owing_groups, flow.is_kept)
end

-- Writes the changes of a flow.
function ff.write_flow(call, flow)
  call.flow = false
  local keeping = ff.new_keeping_of(flow)
  if keeping then
    command('HSET', flow.key, FLOW.life, life_of(flow), FLOW.keeping, keeping)
  else
    command('HSET', flow.key, FLOW.life, life_of(flow))
  end
end

-- Sets the timer of a flow: for its cancellation while it is building, or for the purge of its members. An empty text
-- removes it.
function ff.set_flow_timer(call, flow, at)
  local timers, member = ff.timers_of(call), TIMER.flow .. flow.id
  if at == '' then
    ff.remove(timers, member)
  else
    ff.add_noted(timers, at, tonumber(at), member, at)
  end
end

-- Whether a flow is still building; the twin of `isUnsealed`.
function ff.is_unsealed(flow)
  return flow.is_building ~= '' and flow.flow_state == FLOW_STATE.open
end

-- Whether the end of a flow was recorded; the twin of `hasFinished`.
function ff.has_finished(flow)
  return flow.purge_at ~= '' or flow.is_kept ~= ''
end

-- Whether a flow is cancelled at its build deadline; the twin of `hasBuildDeadline`.
function ff.has_build_deadline(flow)
  return flow.is_building ~= '' and flow.cancellation_policy == CANCELLATION.flow_only and not ff.has_finished(flow)
end

-- When something is due for a flow: the deadline of its building, or the purge of its members; empty if nothing is. The
-- twin of its `timerOf`.
function ff.timer_of_flow(flow)
  if not ff.has_build_deadline(flow) then return flow.purge_at end
  ff.read_flow_given(flow)
  return flow.build_deadline_at
end

-- The ids of the walks that a flow can have: its own, and those of members.
local function ids_of_walks(flow_id, members)
  local ids = { WALK_KIND.cancel .. flow_id, WALK_KIND.evaluate .. flow_id }
  for i = 1, #members do
    ids[2 * i + 1], ids[2 * i + 2] = WALK_KIND.resolve .. members[i].id, WALK_KIND.siblings .. members[i].id
  end
  return ids
end

-- Unfinished walks of a flow: its own, and those of members. They are not read, so damage does not matter.
function ff.walks_of(call, flow_id, members)
  local ids, keys = ids_of_walks(flow_id, members), {}
  for i = 1, #ids do keys[i] = call.base .. WALK.key .. ids[i] end
  -- Mostly there are none, which one command tells.
  if command('EXISTS', unpack(keys)) == 0 then return {} end
  local found = {}
  for i = 1, #ids do
    if command('EXISTS', keys[i]) == 1 then
      local of = i > 2 and string.sub(ids[i], 2) or ''
      found[#found + 1] = { id = ids[i], kind = string.sub(ids[i], 1, 1), flow = flow_id, of = of, cursor = '' }
    end
  end
  return found
end

-- Removes the walks of a flow from the timers and the quarantine. Their records may be lost.
function ff.forget_walks(call, flow_id, members)
  local names = ids_of_walks(flow_id, members)
  for i = 1, #names do names[i] = TIMER.walk .. names[i] end
  ff.remove_many(ff.timers_of(call), names)
  ff.leave_quarantine(call, {}, names)
end

-- The situation of an execution, of which nothing else is read; false when it is unreadable.
function ff.stored_situation(call, id)
  local life = guarded('HGET', call.base .. id, FIELD.life)
  local situation = type(life) == 'string' and string.sub(life, 1, 1)
  return PHASE[situation] and situation or false
end

-- Fails if an execution whose record cannot be read is a member of a flow. One that was dropped has left it.
function ff.check_left(call, flow_id, id)
  local rank = guarded('ZSCORE', call.base .. KEY.members .. flow_id, id)
  if type(rank) == 'string' then ff.damaged('the record is missing or unreadable') end
  return nil
end

-- The situations of the members of a flow by their ids, false for an unreadable one; nil for a flow with many members.
function ff.situations_of(call, flow_id)
  local ids = guarded('ZRANGE', call.base .. KEY.members .. flow_id, 0, LIMIT.max_looked_at)
  if ids.err or #ids > LIMIT.max_looked_at then return nil end
  local situations = {}
  for i = 1, #ids do situations[ids[i]] = ff.stored_situation(call, ids[i]) end
  return situations
end

-- Number of entries in the index of a flow's members. An index of one flow stops no other work: the flow is set aside.
function ff.check_flow(call, flow_id)
  local members = guarded('ZCARD', call.base .. KEY.members .. flow_id)
  local counts = guarded('HLEN', call.base .. KEY.counts .. LIMIT.counted_flow .. flow_id)
  if type(members) == 'number' and type(counts) == 'number' then return members end
  return ff.damaged('an index of the flow has another type; verify the partition, then retry it')
end

-- Whether a flow has members, by their counts. Earlier commands of the call may have purged or dropped some.
function ff.has_members(call, flow_id)
  ff.settle_tallies(call)
  local counts = command('HGETALL', call.base .. KEY.counts .. LIMIT.counted_flow .. flow_id)
  for i = 2, #counts, 2 do
    if (tonumber(counts[i]) or 0) > 0 then return true end
  end
  return false
end

-- Number of members of a flow that have not ended.
function ff.live_members(call, flow_id)
  local name = LIMIT.counted_flow .. flow_id
  if call.counted ~= name then
    local counts, live = command('HGETALL', call.base .. KEY.counts .. name), 0
    for i = 1, #counts, 2 do
      if not ff.is_terminal(counts[i]) then live = live + (tonumber(counts[i + 1]) or 0) end
    end
    call.counted, call.live = name, live
  end
  return call.live + ff.live_moves(name)
end

-- Whether the counts of a flow tell that all its members have ended. Counts that are lost or too low tell nothing: a
-- member that they do not know can still run. A member that was dropped is neither counted nor in the index of members,
-- and the index may have lost one that is counted as live.
function ff.have_all_ended(call, flow)
  ff.settle_tallies(call)
  local counts, ended = command('HGETALL', call.base .. KEY.counts .. LIMIT.counted_flow .. flow.id), 0
  for i = 1, #counts, 2 do
    local count = tonumber(counts[i + 1]) or 0
    if ff.is_terminal(counts[i]) then
      ended = ended + count
    elseif count > 0 then
      return false
    end
  end
  return ended == flow.nodes or ended > 0 and ended == command('ZCARD', call.base .. KEY.members .. flow.id)
end

-- What the edge that was parsed last has between its upstream and its label, and its facts.
local between, known = false, {}

-- The label of an edge that has the same between them: edges that were written together differ in nothing else. Nil when
-- the text must be parsed.
local function label_of_known(text)
  if not between or string.sub(text, LIMIT.id_length + 1, LIMIT.id_length + #between) ~= between then return nil end
  local ref = string.sub(text, LIMIT.id_length + #between + 1)
  return not string.find(ref, '\t', 1, true) and ref or nil
end

-- Reads an edge from its text, which always has facts: an empty one is damage.
function ff.read_edge(id, text)
  local ref = label_of_known(text)
  if ref then
    return {
      id = id, upstream = string.sub(text, 1, LIMIT.id_length), edge_state = known.edge_state, edge_round = known.edge_round,
      staged_at = known.staged_at, resolved_at = known.resolved_at, bucket = known.bucket, is_late = known.is_late,
      end_order = known.end_order, data_passing_ref = ref,
    }
  end
  if text == '' then ff.damaged('dependency is unreadable') end
  local edge = { id = id, dependency = text }
  ff.read_edge_dependency(edge)
  known = edge
  between = #edge.upstream == LIMIT.id_length and ff.edge_dependency_text('', edge.edge_state, edge.edge_round, edge.staged_at,
    edge.resolved_at, edge.bucket, edge.is_late, edge.end_order, '')
  return edge
end

-- The upstream of an edge that passes data and was satisfied in time, and its label; nil for another edge.
function ff.giver_of(text)
  local ref, edge = label_of_known(text), known
  if not ref then
    edge = ff.read_edge('', text)
    ref = edge.data_passing_ref
  end
  if edge.edge_state ~= EDGE_STATE.satisfied or edge.is_late ~= '' or ref == '' then return nil end
  return string.sub(text, 1, LIMIT.id_length), ref
end

-- An edge, read from its text beside its downstream; nil when it does not exist.
function ff.edge_of(key, edge_id)
  local text = guarded('HGET', key .. SUFFIX.dependencies, edge_id)
  if not text then return nil end
  if type(text) == 'table' then ff.no_hash(text) end
  return ff.read_edge(edge_id, text)
end

-- The facts of a group as numbers; absent ones are zero.
function ff.count_group(execution)
  ff.read_group(execution)
  execution.needs_of_quorum = ff.count(execution.quorum_k)
  execution.leading, execution.succeeded = ff.count(execution.dependency_count), ff.count(execution.succeeded_count)
  execution.failed, execution.skipped = ff.count(execution.failed_count), ff.count(execution.skipped_count)
  execution.ended, execution.open = ff.count(execution.ended_children), ff.count(execution.open_children)
end

-- How many ends of children of an execution were recorded; empty for none.
function ff.ended_children_of(execution)
  local text = ff.load_extra(execution.key, execution.extras, FIELD.group)
  if text == '' then return '' end
  local group = { group = text }
  ff.read_group(group)
  return group.ended_children
end

local function counted(number)
  return number == 0 and '' or ff.digits(number)
end

-- The current text of the facet `group`.
function ff.text_of_group(execution)
  return ff.fit(execution.key, FIELD.group, ff.group_text(execution.group_policy, execution.on_satisfied, execution.quorum_k,
    counted(execution.leading), counted(execution.succeeded), counted(execution.failed), counted(execution.skipped),
    execution.group_state, execution.satisfied_at, execution.is_parent, execution.group_round, counted(execution.ended),
    counted(execution.open)))
end

-- The state of a group; the twin of `decisionOf`: nil while it is undecided or was decided before.
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
  local is_complete = flow.is_closed ~= '' or flow.flow_state == FLOW_STATE.cancelled
  if count < needed then return is_complete and GROUP_STATE.impossible or nil end
  if execution.failed + execution.skipped > count - needed then return GROUP_STATE.impossible end
  return nil
end

-- The group of a member, and its situation.
function ff.group_of(call, id)
  local texts = command('HMGET', call.base .. id, FIELD.group, FIELD.life)
  local situation = string.sub(texts[2] or '', 1, 1)
  local is_readable = PHASE[situation] ~= nil
  local group = { group = texts[1] or '', situation = is_readable and situation or SITUATION.running, is_readable = is_readable }
  ff.read_group(group)
  return group
end

-- Whether a parent ended badly, so its children are no longer needed. Needs its group read.
function ff.has_orphaned(execution)
  local situation = execution.situation
  return execution.is_parent ~= '' and ff.is_terminal(situation) and situation ~= SITUATION.completed
end

local PARENT_REASON = {
  [SITUATION.failed] = 'parent_failed', [SITUATION.cancelled] = 'parent_cancelled', [SITUATION.expired] = 'parent_expired',
  [SITUATION.skipped] = 'parent_skipped',
}

-- The cancellation reason of upstreams that a group or a parent no longer needs; the twin of `siblingReason`.
function ff.sibling_reason(group)
  if ff.has_orphaned(group) then return PARENT_REASON[group.situation] end
  return group.group_state == GROUP_STATE.satisfied and 'sibling_quorum_satisfied' or 'sibling_quorum_impossible'
end

-- Whether a cancelled flow has yet to end a member; the twin of `owesCancel`.
function ff.owes_cancel(flow, situation)
  if flow.flow_state ~= FLOW_STATE.cancelled or ff.is_terminal(situation) then return false end
  if flow.cancellation_policy == CANCELLATION.flow_only then return false end
  return flow.cancellation_policy == CANCELLATION.cancel_all or ff.is_runnable(situation)
end

-- The reason with which a flow was cancelled. Many members end with it, so it is read once.
function ff.cancel_reason_of(flow)
  local text = flow.reason or command('HGET', flow.key, FLOW.cancel_reason) or ''
  if text == LIMIT.spilled then text = ff.spilled(flow.key, FLOW.cancel_reason) end
  flow.reason = text
  return text
end

-- When the members of an execution's flow are purged; empty when unknown.
function ff.purge_time_of_member(call, execution)
  local flow = ff.load_flow(call, ff.flow_of(execution))
  return flow and flow.purge_at or ''
end

-- Whether a cancellation of an execution is due. Needs nothing loaded.
function ff.is_owed_cancel(call, execution)
  return ff.is_member(execution) and ff.owed_cancel(call, execution) ~= nil
end

local load_walk = ff.record('walk', 'walk')

-- A walk, or nil when it does not exist.
function ff.load_walk(call, id)
  local walk = load_walk(call, id)
  if walk then ff.read_walk_walk(walk) end
  return walk
end

-- Whether a walk over the upstreams of a group has yet to reach an edge. A member that it has passed was replayed since.
-- A walk that is set aside begins anew when it is tried again.
local function is_ahead(call, downstream, edge)
  local ran, walk = pcall(ff.load_walk, call, WALK_KIND.siblings .. downstream)
  if not ran then
    ff.contain(walk)
    return true
  end
  return walk ~= nil and (walk.cursor == '' or ff.is_before(walk.cursor, edge))
end

-- The reason of a member's cancellation by a walk that has not reached it yet, or nil; the twin of `owedCancel`.
function ff.owed_cancel(call, execution)
  local flow = ff.flow_in_hand(call, ff.flow_of(execution))
  if not flow then return nil end
  if ff.owes_cancel(flow, execution.situation) then return ff.cancel_reason_of(flow) end
  if flow.owing_groups == '' then return nil end
  local leading = ff.leading_of(call, execution.id, '', -1)
  for i = 1, #leading do
    local downstream = string.sub(leading[i], LIMIT.id_length + 1)
    local edge = string.sub(leading[i], 1, LIMIT.id_length)
    if is_ahead(call, downstream, edge) then
      local group = ff.group_of(call, downstream)
      local text = guarded('HGET', call.base .. downstream .. SUFFIX.dependencies, edge)
      local round = type(text) == 'string' and ff.round_of_edge(text)
      -- Upstreams of other rounds go on.
      if round and ff.is_sibling(group, round) then return ff.sibling_reason(group) end
    end
  end
  return nil
end
