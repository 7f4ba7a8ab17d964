-- Indexes of flows for `verifyPartition` (src/valkey/verify/flows.ts): members by rank, edges, and outgoing edges of
-- executions. Their correct contents follow from the records of members and the edges beside them. Each check is short,
-- and a step makes few.

local load = ff.loader('membership')

local function in_hash(key, field, value)
  if command('HGET', key, field) == value then return 0 end
  command('HSET', key, field, value)
  return 1
end

local function in_order(key, member, score)
  if command('ZSCORE', key, member) == score then return 0 end
  command('ZADD', key, score, member)
  return 1
end

-- Adds an execution to the members of its flow. Answers the name of the index if it was missing there. Needs membership
-- loaded.
function ff.mend_membership(call, execution)
  ff.read_membership(execution)
  local name = KEY.members .. execution.flow
  local rank = execution.rank == '' and '0' or execution.rank
  return in_order(call.base .. name, execution.id, rank) == 1 and name or nil
end

-- A member, or nil; and whether its record cannot be read.
local function member_of(call, id)
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    return nil, true
  end
  if not execution or not ff.is_member(execution) then return nil end
  ff.read_membership(execution)
  return execution
end

-- Flow, first rank, count. Removes entries that are no members. A flow that has members and no record is set aside: only
-- by its name can they be given up. Answers how many were examined, and how many removed.
function ff.verify_members(call, flow, from, count)
  local key = call.base .. KEY.members .. flow
  local ids, wrong = command('ZRANGE', key, from, from + count - 1), 0
  for i = 1, #ids do
    local execution, is_unreadable = member_of(call, ids[i])
    -- Without its unreadable members a flow would be purged, and their retry or drop could not find it.
    local is_aside = is_unreadable or not execution and command('HEXISTS', call.base .. KEY.quarantine, TIMER.execution .. ids[i]) == 1
    if not is_aside and (not execution or execution.flow ~= flow) then
      command('ZREM', key, ids[i])
      wrong = wrong + 1
    end
  end
  if #ids > wrong and command('EXISTS', call.base .. FLOW.key .. flow) == 0 then
    ff.set_aside(call, TIMER.flow .. flow, 'the record is missing')
  end
  return { #ids, wrong }
end

-- Whether an edge leads from an upstream, or from any, to a downstream; assumed when the downstream does not exist.
local function leads(call, edge_id, downstream, upstream)
  if command('EXISTS', call.base .. downstream) == 0 then return true end
  local ran, edge = pcall(ff.edge_of, call.base .. downstream, edge_id)
  if not ran then ff.contain(edge) end
  return not ran or edge ~= nil and (not upstream or edge.upstream == upstream)
end

-- An execution. Removes its only outgoing edge if there is no such edge, or no such execution. Answers how many were
-- removed.
function ff.verify_only_edge(call, id)
  local execution = { key = call.base .. id }
  local edge_id, downstream = ff.only_edge_of(execution)
  if edge_id and command('EXISTS', execution.key) == 1 and leads(call, edge_id, downstream, id) then return 0 end
  return command('UNLINK', execution.key .. SUFFIX.only)
end

-- Adds an outgoing edge to an execution, if missing. Answers how many entries were missing or wrong.
local function enter_leading(call, id, entry)
  local key, wrong = call.base .. id, ff.verify_only_edge(call, id)
  local edge_id, downstream = ff.only_edge_of({ key = key })
  local known = not edge_id and guarded('ZSCORE', key .. SUFFIX.leading, entry)
  if type(known) == 'table' then
    command('UNLINK', key .. SUFFIX.leading)
    known = false
  end
  if known or edge_id and edge_id .. downstream == entry then return wrong end
  if edge_id or command('EXISTS', key .. SUFFIX.leading) == 1 then
    ff.lead_out(call, id, { '0', entry })
  else
    command('SET', key .. SUFFIX.only, entry)
  end
  return wrong + 1
end

-- An execution, a cursor, count. Adds its incoming edges to the index of its flow and to its upstreams, and completes
-- what failed calls have left for it. Answers the next cursor, how many were missing in each, the flow, and whether
-- anything was left.
function ff.verify_edges(call, id, cursor, count)
  local execution = member_of(call, id)
  if not execution then return { '0', 0, 0, '', 0 } end
  local found = ff.try_scan(call, call.base .. id .. SUFFIX.dependencies, cursor, count)
  if found.err then return { '0', 0, 0, execution.flow, 0 } end
  local of_flow, of_upstream, ended, lost = 0, 0, {}, {}
  for i = 1, #found[2], 2 do
    local edge_id = found[2][i]
    local is_readable, edge = pcall(ff.read_edge, edge_id, found[2][i + 1])
    if is_readable then
      if ff.is_unresolved_end(call, edge) then ended[#ended + 1] = edge.upstream end
      local is_lost = edge.edge_state == EDGE_STATE.unsatisfied and command('EXISTS', call.base .. edge.upstream) == 0
      if is_lost and ff.bucket_of_missed(call, edge.upstream) then lost[#lost + 1] = edge_id end
      of_flow = of_flow + in_hash(call.base .. KEY.edges .. execution.flow, edge_id, id)
      if command('EXISTS', call.base .. edge.upstream) == 1 then
        of_upstream = of_upstream + enter_leading(call, edge.upstream, edge_id .. id)
      end
    end
  end
  return { found[1], of_flow, of_upstream, execution.flow, ff.resume_member(call, execution.flow, id, ended, lost) }
end

-- Flow, a cursor, count. Removes edges that do not exist. Answers the next cursor, and how many were removed.
function ff.verify_flow_edges(call, flow, cursor, count)
  local key, wrong = call.base .. KEY.edges .. flow, 0
  local found = ff.scan(call, key, cursor, count)
  for i = 1, #found[2], 2 do
    if not leads(call, found[2][i], found[2][i + 1]) then wrong = wrong + command('HDEL', key, found[2][i]) end
  end
  return { found[1], wrong }
end

-- An execution, first rank, count. Removes entries that are not its outgoing edges, or all of them if it does not
-- exist. Answers how many were examined, and how many removed.
function ff.verify_leading(call, id, from, count)
  local key = call.base .. id .. SUFFIX.leading
  if command('EXISTS', call.base .. id) == 0 then return { 0, command('UNLINK', key) } end
  local found, wrong = guarded('ZRANGE', key, from, from + count - 1), 0
  if found.err then return { 0, command('UNLINK', key) } end
  for i = 1, #found do
    local edge_id, downstream = string.sub(found[i], 1, LIMIT.id_length), string.sub(found[i], LIMIT.id_length + 1)
    if not leads(call, edge_id, downstream, id) then wrong = wrong + command('ZREM', key, found[i]) end
  end
  return { #found, wrong }
end
