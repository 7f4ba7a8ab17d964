-- Members and edges that join a flow; the twin of model/flow/graph.ts and model/flow/members.ts. They are sent as texts:
-- the number of members, their texts, and two texts of each member to which edges lead.

-- Texts at the start of a run of members: its length, and what its members share.
local TEXTS_OF_RUN = 7

-- The shared part of the creations of similar members. The table of plain creations is reused, so it is copied.
local function creation_of(call, known, naming, options, policy, rules, capabilities, tags)
  local name = table.concat({ naming, options, policy, rules, capabilities, tags }, '\n')
  local shared = known[name]
  if shared then return shared end
  local prepared = ff.shared_creation(call, naming, options, policy, rules, capabilities, tags)
  shared = prepared
  if prepared.is_reused then
    shared = {}
    for key, value in pairs(prepared) do shared[key] = value end
  end
  known[name] = shared
  return shared
end

-- Where the input of a member is, as in lua/execution/bytes.lua: a long one has a tab and its name after the id.
local function read_input(member, id, input)
  local tab = string.find(id, '\t', 1, true)
  member.input, member.input_at = input, input ~= '' and LIMIT.bytes_here or ''
  if tab then member.input_at = string.sub(id, tab + 1) end
  member.input_bytes = ff.count_bytes(member.input_at, input)
  return tab and string.sub(id, 1, tab - 1) or id
end

-- Parses `last` members, whose texts start at `at`. They come in runs; each member has its id, its input and, if
-- `has_edge`, an edge. Answers members in order and by id, and the index of the next text.
local function read_members(call, namespace, creator_identity, texts, at, last, has_edge)
  local members, by_id, known, count, step = {}, {}, {}, 0, has_edge and 3 or 2
  while count < last do
    local length, naming = tonumber(texts[at]), namespace .. '\t' .. texts[at + 1] .. '\t' .. creator_identity
    local creation = creation_of(call, known, naming, unpack(texts, at + 2, at + TEXTS_OF_RUN - 1))
    at = at + TEXTS_OF_RUN
    for i = 1, length do
      local member = {
        id = '', key = '', creation = creation, input = '', input_at = '', input_bytes = 0, edge = has_edge and texts[at + 2],
        edges = false, staged = '', outgoing = 0, policy = false,
      }
      local id = read_input(member, texts[at], texts[at + 1])
      member.id, member.key = id, call.base .. id
      members[count + i], by_id[id] = member, member
      at = at + step
    end
    count = count + length
  end
  return members, by_id, at
end

-- Parses edges to an execution, a line each.
local function read_edges(text, downstream)
  local edges, count, at = {}, 0, 1
  while at <= #text do
    local line_end = string.find(text, '\n', at, true) or #text + 1
    local upstream_at = at + LIMIT.id_length + 1
    count = count + 1
    edges[count] = {
      id = string.sub(text, at, upstream_at - 2), upstream = string.sub(text, upstream_at, upstream_at + LIMIT.id_length - 1),
      downstream = downstream, ref = string.sub(text, upstream_at + LIMIT.id_length + 1, line_end - 1),
    }
    at = line_end + 1
  end
  return edges
end

-- Parses children. Answers a graph with members only, and the text of the edges from them to their parent; and these
-- edges.
function ff.read_children(call, namespace, creator_identity, parent, count, ...)
  local members, by_id = read_members(call, namespace, creator_identity, { ... }, 1, tonumber(count), true)
  local edges, lines = {}, {}
  for i = 1, #members do
    local child = members[i]
    local id, ref = string.match(child.edge, '^([^\t]*)\t(.*)$')
    edges[i] = { id = id, upstream = child.id, downstream = parent, ref = ref }
    lines[i] = id .. ' ' .. child.id .. ' ' .. ref
    child.outgoing = 1
  end
  return { members = members, by_id = by_id, edges = {}, staged = table.concat(lines, '\n') }, edges
end

-- Parses a graph. Answers members in order and by id, and edges.
function ff.read_graph(call, namespace, creator_identity, count, ...)
  local texts, edges = { ... }, {}
  local members, by_id, at = read_members(call, namespace, creator_identity, texts, 1, tonumber(count), false)
  for i = at, #texts, 2 do
    local id, policy = string.match(texts[i], '^([^\t]*)\t?(.*)$')
    local member, own = by_id[id], read_edges(texts[i + 1], id)
    member.edges, member.staged, member.policy = own, texts[i + 1], policy ~= '' and policy
    for j = 1, #own do
      local upstream = by_id[own[j].upstream]
      edges[#edges + 1] = own[j]
      if upstream then upstream.outgoing = upstream.outgoing + 1 end
    end
  end
  return { members = members, by_id = by_id, edges = edges }
end

-- Removes inputs that were staged for members that the flow has already.
function ff.discard_inputs(members)
  for i = 1, #members do ff.discard_bytes(members[i].key .. SUFFIX.input, members[i].input_at) end
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
    if ff.is_staged(member.input_at) and ff.lacks_bytes(member.key .. SUFFIX.input, member.input_at, member.input) then
      return LIMIT.not_staged
    end
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

-- The only outgoing edge in the text of its key; nil when the text is none.
local function only_edge_at(key)
  local only = guarded('GET', key .. SUFFIX.only)
  return type(only) == 'string' and #only == 2 * LIMIT.id_length and only or nil
end

-- The only outgoing edge of an execution: ids of the edge and of its downstream; nil when it has none, or several.
function ff.only_edge_of(execution)
  local only = only_edge_at(execution.key)
  if not only then return nil end
  return string.sub(only, 1, LIMIT.id_length), string.sub(only, LIMIT.id_length + 1)
end

-- Outgoing edges of an execution after a cursor, in order, at most `limit`: each as one text of the ids of the edge and
-- of its downstream. `are_several`: the caller knows that the execution has no only edge.
function ff.leading_of(call, id, cursor, limit, are_several)
  local key = call.base .. id
  local only = not are_several and only_edge_at(key)
  if only then return (cursor == '' or ff.is_before(cursor, string.sub(only, 1, LIMIT.id_length))) and { only } or {} end
  local found = guarded('ZRANGEBYLEX', key .. SUFFIX.leading, cursor == '' and '-' or '(' .. cursor .. '~', '+', 'LIMIT', 0, limit)
  if found.err then ff.damaged('the outgoing edges are none') end
  return found
end

-- Adds outgoing edges to an existing execution: entries and their scores. An only edge is a text; it is moved when
-- another one is added.
function ff.lead_out(call, upstream, entries)
  local key = call.base .. upstream
  local only = only_edge_at(key)
  if not only and not entries[3] and command('EXISTS', key .. SUFFIX.leading) == 0 then
    command('SET', key .. SUFFIX.only, entries[2])
    return
  end
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

-- Writes new edges beside their downstream.
function ff.stage_edges(call, key, edges, round)
  call.incoming = false
  local entries = {}
  for i = 1, #edges do
    local edge = edges[i]
    entries[2 * i - 1] = edge.id
    entries[2 * i] = ff.edge_dependency_text(edge.upstream, EDGE_STATE.unsatisfied, round, call.now_text, '', '', '', '', edge.ref)
  end
  ff.set_all(key .. SUFFIX.dependencies, entries)
end

-- Logs edges that lead to an execution; `staged` is their text.
function ff.log_edges(call, flow_id, downstream, staged, is_backward, is_child, round)
  ff.append(call, EVENT.dependencies_staged, downstream,
    flow_id .. '\t' .. is_backward .. '\t' .. is_child .. '\t' .. round, staged)
end

local function group_of(member)
  local policy, on_satisfied, quorum_k = '', '', ''
  if member.policy then policy, on_satisfied, quorum_k = string.match(member.policy, '^([^\t]*)\t([^\t]*)\t([^\t]*)$') end
  if policy == GROUP_POLICY_LETTER.all_of then policy = '' end
  return ff.group_text(policy, on_satisfied, quorum_k, ff.digits(#member.edges), '', '', '', GROUP_STATE.pending, '', '', '', '', '')
end

-- The facet `given` of an input of this size, which is mostly that of the previous member.
local function given_of(creation, bytes)
  if bytes == 0 then return creation.empty_given end
  if creation.input_size ~= bytes then
    creation.input_size = bytes
    creation.given_of_size = (creation.priority == 0 and '' or creation.priority) .. '\t' .. ff.digits(bytes) .. '\t' .. creation.encoding
  end
  return creation.given_of_size
end

-- The life of new members in a situation, which similar ones share.
local function life_of(call, creation, situation, due_at, has_group)
  if creation.situation ~= situation or creation.has_group ~= has_group then
    creation.situation, creation.has_group = situation, has_group
    creation.member_life = ff.life_text(situation, '', due_at, call.now_text, '', '',
      FIELD.membership .. (has_group and FIELD.group or '') .. creation.extras)
  end
  return creation.member_life
end

local function write_member(call, flow_id, rank_text, member, life, given)
  local creation, key, input_at = member.creation, member.key, member.input_at
  local change = { key, FIELD.life, life, FIELD.naming, ff.fit(key, FIELD.naming, creation.naming),
    FIELD.given, ff.fit(key, FIELD.given, given .. '\t' .. call.now_text), FIELD.membership, flow_id .. '\t' .. rank_text }
  if input_at ~= '' then ff.also(change, FIELD.input, ff.keep_bytes(key, SUFFIX.input, input_at, member.input)) end
  if member.edges then ff.also(change, FIELD.group, ff.fit(key, FIELD.group, group_of(member))) end
  if creation.deadline ~= '' then ff.also(change, FIELD.bounds, creation.deadline .. '\t') end
  ff.write_creation(change, creation)
end

-- Enters a member in the indexes.
local function place(call, creation, situation, id, due_at)
  if creation.lane_is_new then
    creation.lane_is_new = false
    ff.enter_lane(call, creation.lane_id)
  end
  if situation == SITUATION.ready then
    ff.add_noted(creation.queue, creation.score_text, creation.score, id, creation.priority)
  elseif situation == SITUATION.blocked_dependencies then
    ff.shelve(call, situation, id)
  end
  if creation.tags ~= '' then ff.reshelve_tags(call, id, '', creation.tags) end
  if due_at ~= '' or creation.deadline ~= '' then
    local times = { id = id, situation = situation, due_at = due_at, attempt_timeout_at = '' }
    times.execution_deadline_at = creation.deadline
    ff.set_timer(call, times)
  end
end

local function log_member(call, flow_id, rank_text, awaits_seal, member, given)
  local creation, id = member.creation, member.id
  local bounds = creation.deadline .. '\t\t' .. flow_id .. '\t' .. rank_text .. '\t' .. awaits_seal
  if creation.extras == '' and creation.policy_text == '' then
    ff.append(call, EVENT.execution_created, id, creation.naming, given, bounds, '')
  else
    ff.append(call, EVENT.execution_created, id, creation.naming, given, bounds, creation.delay, creation.needs, '',
      creation.tags, creation.policy_text)
  end
  if member.policy then ff.append(call, EVENT.edge_group_policy_set, id, flow_id .. '\t' .. member.policy, '') end
  if member.edges then ff.log_edges(call, flow_id, id, member.staged, '', '', '') end
end

-- Creates a member: its record with all its edges counted, then the entries of the log. Answers its situation.
local function make_member(call, flow_id, rank_text, awaits_seal, member)
  local creation, id, has_group = member.creation, member.id, member.edges and true or false
  local situation = (awaits_seal ~= '' or has_group) and SITUATION.blocked_dependencies
    or creation.delay == '' and SITUATION.ready or SITUATION.delayed
  local due_at = situation == SITUATION.delayed and creation.delay or ''
  local given = given_of(creation, member.input_bytes)
  write_member(call, flow_id, rank_text, member, life_of(call, creation, situation, due_at, has_group), given)
  ff.enter_id(call, id)
  ff.tally(call, creation.lane_id, nil, situation)
  place(call, creation, situation, id, due_at)
  log_member(call, flow_id, rank_text, awaits_seal, member, given)
  if has_group then ff.stage_edges(call, member.key, member.edges, '') end
  return situation
end

-- Adds a part of a graph to a flow; the caller writes the flow's own counts.
function ff.grow(call, flow, graph)
  local members, edges = graph.members, graph.edges
  local ranks, leads, counts, rank, last_creation = {}, {}, {}, flow.nodes, nil
  for i = 1, #members do
    local member, rank_text = members[i], ff.digits(rank)
    if member.creation ~= last_creation then
      last_creation = member.creation
      ff.keep_with(flow, last_creation.rules.retention_ms, '', rank == 0)
    end
    local situation = make_member(call, flow.id, rank == 0 and '' or rank_text, flow.is_building, member)
    counts[situation] = (counts[situation] or 0) + 1
    if member.policy then flow.revision = flow.revision + 1 end
    ranks[2 * i - 1], ranks[2 * i] = rank_text, member.id
    rank = rank + 1
  end
  for situation, count in pairs(counts) do ff.tally(call, LIMIT.counted_flow .. flow.id, nil, situation, count) end
  for i = 1, #edges do leads[2 * i - 1], leads[2 * i] = edges[i].id, edges[i].downstream end
  add_all(call.base .. KEY.members .. flow.id, ranks)
  ff.set_all(call.base .. KEY.edges .. flow.id, leads)
  ff.lead(call, edges, graph.by_id)
  flow.nodes, flow.edges, flow.revision = rank, flow.edges + #edges, flow.revision + #members + #edges
  flow.last_mutation_at = call.now_text
end
