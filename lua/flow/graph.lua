-- Members and edges that join a flow; the twin of model/flow/graph.ts and model/flow/members.ts. They are sent as
-- texts: the numbers of members and edges, then eight texts of each member, one of each edge, one of each group.

local TEXTS_OF_MEMBER = 8

-- The shared part of the creations of similar members: a copy of the table of plain creations.
local function creation_of(call, known, naming, options, policy, rules, capabilities, tags)
  local name = table.concat({ naming, options, policy, rules, capabilities, tags }, '\n')
  local shared = known[name]
  if shared then return shared end
  local prepared = ff.shared_creation(call, naming, options, policy, rules, capabilities, tags)
  shared = {}
  for key, value in pairs(prepared) do shared[key] = value end
  shared.queue = prepared.queue
  known[name] = shared
  return shared
end

local function text_of_given(creation, input_at, input)
  if input_at == '' then return creation.empty_given end
  return (creation.priority == 0 and '' or creation.priority) .. '\t' .. #input .. '\t' .. creation.encoding
end

local function read_member(call, known, namespace, creator_identity, at, ...)
  local id, place, options, policy, rules, capabilities, tags, input = select(at, ...)
  local naming = namespace .. '\t' .. place .. '\t' .. creator_identity
  local input_at = input == '' and '' or LIMIT.bytes_here
  local creation = creation_of(call, known, naming, options, policy, rules, capabilities, tags)
  return {
    id = id, key = call.base .. id, creation = creation, naming = naming, given = text_of_given(creation, input_at, input),
    input_at = input_at, input = input, edges = {}, outgoing = 0, policy = false,
  }
end

-- Parses children: eight texts of each as a member, and one of its edge. Answers a graph with members only, and their
-- edges.
function ff.read_children(call, namespace, creator_identity, parent, ...)
  local members, by_id, edges, known = {}, {}, {}, {}
  for at = 1, select('#', ...), TEXTS_OF_MEMBER + 1 do
    local child = read_member(call, known, namespace, creator_identity, at, ...)
    local edge = { upstream = child.id, downstream = parent }
    edge.id, edge.ref = string.match((select(at + TEXTS_OF_MEMBER, ...)), '^([^\t]*)\t(.*)$')
    child.outgoing = 1
    local i = #members + 1
    members[i], by_id[child.id], edges[i] = child, child, edge
  end
  return { members = members, by_id = by_id, edges = {} }, edges
end

-- Parses a graph. Answers members in order and by id, and edges.
function ff.read_graph(call, namespace, creator_identity, ...)
  local member_count, edge_count = tonumber((select(1, ...))), tonumber((select(2, ...)))
  local members, by_id, edges, known = {}, {}, {}, {}
  local at = 3
  for i = 1, member_count do
    local member = read_member(call, known, namespace, creator_identity, at, ...)
    members[i], by_id[member.id] = member, member
    at = at + TEXTS_OF_MEMBER
  end
  for i = 1, edge_count do
    local edge = {}
    edge.id, edge.upstream, edge.downstream, edge.ref = string.match((select(at, ...)), '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
    edges[i] = edge
    local list, upstream = by_id[edge.downstream].edges, by_id[edge.upstream]
    list[#list + 1] = edge
    if upstream then upstream.outgoing = upstream.outgoing + 1 end
    at = at + 1
  end
  for i = at, select('#', ...) do
    local id, policy = string.match((select(i, ...)), '^([^\t]*)\t(.*)$')
    by_id[id].policy = policy
  end
  return { members = members, by_id = by_id, edges = edges }
end

-- The downstream of an edge; nil when it does not exist.
function ff.downstream_of(call, flow_id, edge_id)
  return command('HGET', call.base .. KEY.edges .. flow_id, edge_id) or nil
end

-- Whether an execution is a member of a flow. Answers its membership too.
function ff.is_in_flow(call, id, flow_id)
  local text = guarded('HGET', call.base .. id, FIELD.membership)
  return type(text) == 'string' and string.match(text, '^[^\t]*') == flow_id
end

local function has_ended(call, id)
  local life = guarded('HGET', call.base .. id, FIELD.life)
  return type(life) == 'string' and PHASE[string.sub(life, 1, 1)] == 'terminal'
end

local function limit_exceeded(name)
  return ff.reject('flow_limit_exceeded', 'limit', name)
end

-- Whether a key of some members exists already: most are checked together.
local function are_new(members)
  for from = 1, #members, LIMIT.max_unsettled do
    local keys = {}
    for i = from, math.min(#members, from + LIMIT.max_unsettled - 1) do keys[#keys + 1] = members[i].key end
    if command('EXISTS', unpack(keys)) > 0 then return false end
  end
  return true
end

-- Why members with this many edges cannot join a flow, if so. Checks all keys that are written when they do.
function ff.members_refusal(call, nodes, edge_count, members, new_edges)
  if nodes + #members > LIMIT.max_flow_members then return limit_exceeded('maxFlowMembers') end
  if edge_count + new_edges > LIMIT.max_flow_edges then return limit_exceeded('maxFlowEdges') end
  local are_all_new = are_new(members)
  for i = 1, #members do
    local member = members[i]
    if not are_all_new and command('EXISTS', member.key) == 1 then
      return ff.reject('invalid_input', 'field', 'graph.members', 'reason', 'execution_exists')
    end
    local lane_id = member.creation.lane_id
    if call.stated > 0 and ff.state_of_lane(call, lane_id) == LANE_STATE.draining then
      return ff.reject('lane_draining', 'laneId', lane_id)
    end
  end
  ff.timers_of(call)
  for i = 1, #members do
    local member = members[i]
    ff.check_ids(call, member.id)
    local creation = member.creation
    if not creation.is_checked then
      creation.lane_is_new = ff.check_queue(call, creation.queue)
      creation.is_checked = true
    end
  end
  return nil
end

-- Why an edge is refused: its upstream is not in the flow. Records edges whose upstreams have ended.
function ff.edges_refusal(call, flow_id, graph)
  graph.new_edges = {}
  for i = 1, #graph.edges do
    local edge = graph.edges[i]
    if not graph.by_id[edge.upstream] then
      if not ff.is_in_flow(call, edge.upstream, flow_id) then
        return ff.reject('execution_not_in_flow', 'executionId', ff.execution_name(call, edge.upstream))
      end
      if has_ended(call, edge.upstream) then
        graph.new_edges[#graph.new_edges + 1] = { edge = edge.id, upstream = edge.upstream, downstream = edge.downstream }
      end
    end
  end
  return nil
end

-- The full id of an execution, as callers use it.
function ff.execution_name(call, id)
  return call.partition .. ':' .. id
end

-- Writes many entries of an index at once.
local function add_all(key, entries)
  for from = 1, #entries, LIMIT.max_unsettled do
    command('ZADD', key, unpack(entries, from, math.min(#entries, from + LIMIT.max_unsettled - 1)))
  end
end

function ff.set_all(key, entries)
  for from = 1, #entries, LIMIT.max_unsettled do
    command('HSET', key, unpack(entries, from, math.min(#entries, from + LIMIT.max_unsettled - 1)))
  end
end

local ID_LENGTH = 22

-- The only outgoing edge in the text of its key; nil when the text is none.
local function only_edge_at(key)
  local only = guarded('GET', key .. SUFFIX.only)
  return type(only) == 'string' and #only == 2 * ID_LENGTH and only or nil
end

-- The only outgoing edge of an execution: ids of the edge and of its downstream; nil when it has none, or several.
function ff.only_edge_of(execution)
  local only = only_edge_at(execution.key)
  if not only then return nil end
  return string.sub(only, 1, ID_LENGTH), string.sub(only, ID_LENGTH + 1)
end

-- Outgoing edges of an execution after a cursor, in order, at most `limit`: each as one text of the ids of the edge and
-- of its downstream. `are_several`: the caller knows that the execution has no only edge.
function ff.leading_of(call, id, cursor, limit, are_several)
  local key = call.base .. id
  local only = not are_several and only_edge_at(key)
  if only then return (cursor == '' or ff.is_before(cursor, string.sub(only, 1, ID_LENGTH))) and { only } or {} end
  return command('ZRANGEBYLEX', key .. SUFFIX.leading, cursor == '' and '-' or '(' .. cursor .. '~', '+', 'LIMIT', 0, limit)
end

-- Adds outgoing edges to an existing execution: entries and their scores. A previous only edge is moved to them.
function ff.lead_out(call, upstream, entries)
  local key = call.base .. upstream
  local only = only_edge_at(key)
  if only then entries[#entries + 1], entries[#entries + 2] = '0', only end
  -- In this order, a refused write loses no edge.
  add_all(key .. SUFFIX.leading, entries)
  command('UNLINK', key .. SUFFIX.only)
end

-- Writes the outgoing edges of each upstream. For a new one, among `members` by id, all edges are known.
function ff.lead(call, edges, members)
  local leading, alone = {}, { 'MSET' }
  for i = 1, #edges do
    local edge = edges[i]
    local member, entry = members[edge.upstream], edge.id .. edge.downstream
    if member and member.outgoing == 1 then
      local size = #alone
      alone[size + 1], alone[size + 2] = member.key .. SUFFIX.only, entry
      if size + 2 > LIMIT.max_unsettled then
        command(unpack(alone))
        alone = { 'MSET' }
      end
    else
      local list = leading[edge.upstream] or {}
      leading[edge.upstream] = list
      list[#list + 1] = '0'
      list[#list + 1] = entry
    end
  end
  if alone[2] then command(unpack(alone)) end
  for upstream, list in pairs(leading) do
    if members[upstream] then add_all(call.base .. upstream .. SUFFIX.leading, list) else ff.lead_out(call, upstream, list) end
  end
end

-- The stored text of an edge beside its downstream.
function ff.staged_edge(call, edge, round)
  return ff.edge_dependency_text(edge.upstream, EDGE_STATE.unsatisfied, round, call.now_text, '', '', '', edge.ref)
end

function ff.log_edge(call, flow_id, downstream, edge, is_backward, is_child, round)
  ff.append(call, EVENT.dependency_staged, downstream,
    flow_id .. '\t' .. edge.id .. '\t' .. edge.upstream .. '\t' .. is_backward .. '\t' .. is_child .. '\t' .. round, edge.ref)
end

local function group_of(member)
  local policy, on_satisfied, quorum_k = '', '', ''
  if member.policy then policy, on_satisfied, quorum_k = string.match(member.policy, '^([^\t]*)\t([^\t]*)\t([^\t]*)$') end
  if policy == GROUP_POLICY_LETTER.all_of then policy = '' end
  return ff.group_text(policy, on_satisfied, quorum_k, ff.digits(#member.edges), '', '', '', GROUP_STATE.pending, '', '', '')
end

-- Creates a member: its record with all its edges counted, then the entries of the log.
local function make_member(call, flow_id, rank, awaits_seal, member)
  local creation, key, id = member.creation, member.key, member.id
  local has_group = member.edges[1] ~= nil
  local waits = awaits_seal ~= '' or has_group
  local situation = waits and SITUATION.blocked_dependencies or creation.delay == '' and SITUATION.ready or SITUATION.delayed
  local extras = FIELD.membership .. (has_group and FIELD.group or '') .. creation.extras
  local due_at = situation == SITUATION.delayed and creation.delay or ''
  local rank_text = rank == 0 and '' or ff.digits(rank)
  local bounds = creation.deadline == '' and '' or creation.deadline .. '\t'
  local change = { key, FIELD.life, ff.life_text(situation, '', due_at, call.now_text, '', '', extras),
    FIELD.naming, ff.fit(key, FIELD.naming, member.naming), FIELD.given, ff.fit(key, FIELD.given, member.given .. '\t' .. call.now_text),
    FIELD.membership, flow_id .. '\t' .. rank_text }
  if member.input_at ~= '' then ff.also(change, FIELD.input, ff.keep_bytes(key, SUFFIX.input, member.input_at, member.input)) end
  if has_group then ff.also(change, FIELD.group, ff.fit(key, FIELD.group, group_of(member))) end
  ff.also(change, FIELD.bounds, bounds)
  ff.write_creation(change, creation)
  ff.enter_id(call, id)
  ff.tally(call, creation.lane_id, nil, situation)
  ff.tally(call, LIMIT.counted_flow .. flow_id, nil, situation)
  if creation.lane_is_new then
    creation.lane_is_new = false
    command('SADD', call.base .. KEY.lanes, creation.lane_id)
  end
  if situation == SITUATION.ready then
    ff.add_noted(creation.queue, creation.score_text, creation.score, id, creation.priority)
  elseif waits then
    ff.shelve(call, situation, id)
  end
  if creation.tags ~= '' then ff.reshelve_tags(call, id, '', creation.tags) end
  if due_at ~= '' or creation.deadline ~= '' then
    local times = { id = id, situation = situation, due_at = due_at, attempt_timeout_at = '' }
    times.execution_deadline_at = creation.deadline
    ff.set_timer(call, times)
  end
  if creation.extras == '' and creation.policy_text == '' then
    ff.append(call, EVENT.execution_created, id, member.naming, member.given)
  else
    ff.append(call, EVENT.execution_created, id, member.naming, member.given, bounds, creation.delay, creation.needs, '',
      creation.tags, creation.policy_text)
  end
  ff.append(call, EVENT.flow_member_added, id, flow_id .. '\t' .. rank_text .. '\t' .. awaits_seal, '')
  if member.policy then ff.append(call, EVENT.edge_group_policy_set, id, flow_id .. '\t' .. member.policy, '') end
  if not has_group then return end
  local entries = {}
  for i = 1, #member.edges do
    local edge = member.edges[i]
    entries[2 * i - 1], entries[2 * i] = edge.id, ff.staged_edge(call, edge, '')
    ff.log_edge(call, flow_id, id, edge, '', '', '')
  end
  ff.set_all(key .. SUFFIX.dependencies, entries)
end

-- Adds a part of a graph to a flow; the caller writes the flow's own counts.
function ff.grow(call, flow, graph)
  local members, edges = graph.members, graph.edges
  local ranks, leads = {}, {}
  local awaits_seal = flow.is_building
  for i = 1, #members do
    local rank = flow.nodes
    make_member(call, flow.id, rank, awaits_seal, members[i])
    flow.nodes, flow.revision = rank + 1, flow.revision + 1
    if members[i].policy then flow.revision = flow.revision + 1 end
    ranks[2 * i - 1], ranks[2 * i] = ff.digits(rank), members[i].id
  end
  for i = 1, #edges do leads[2 * i - 1], leads[2 * i] = edges[i].id, edges[i].downstream end
  add_all(call.base .. KEY.members .. flow.id, ranks)
  ff.set_all(call.base .. KEY.edges .. flow.id, leads)
  ff.lead(call, edges, graph.by_id)
  flow.edges, flow.revision = flow.edges + #edges, flow.revision + #edges
  flow.last_mutation_at = call.now_text
end
