-- Reads of flows: see model/flow/reads.ts, which interprets the stored values in their answers.

local function pairs_of(key)
  return command('HGETALL', key)
end

local function flow_record(call, id, hash)
  local key = call.base .. FLOW.key .. id
  return { id, hash(key), hash(key .. SUFFIX.details), hash(call.base .. KEY.counts .. LIMIT.counted_flow .. id) }
end

-- read_flow: flow_id
function ff.query.read_flow(call, flow_id)
  return flow_record(call, flow_id, pairs_of)
end

-- list_flows: after?, limit
function ff.query.list_flows(call, after, limit)
  local ids = command('ZRANGEBYLEX', call.base .. KEY.flows, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
  local rows = {}
  for i = 1, #ids do rows[i] = flow_record(call, ids[i], ff.listed_hash) end
  return rows
end

-- list_flow_members: flow_id, from, limit. Answers ids and ranks with the pairs of the records.
function ff.query.list_flow_members(call, flow_id, from, limit)
  local found = command('ZRANGEBYSCORE', call.base .. KEY.members .. flow_id, from, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  local rows = {}
  for i = 1, #found, 2 do
    local key = call.base .. found[i]
    rows[#rows + 1] = { found[i], found[i + 1], ff.listed_hash(key), ff.listed_hash(key .. SUFFIX.details) }
  end
  return rows
end

-- An edge, and the membership of its downstream, each false when it is unreadable; nothing when both are gone.
local function edge_row(call, edge_id, downstream)
  local text = guarded('HGET', call.base .. downstream .. SUFFIX.dependencies, edge_id)
  local membership = guarded('HGET', call.base .. downstream, FIELD.membership)
  if not text and not membership then return nil end
  return { edge_id, downstream, type(membership) == 'string' and membership, type(text) == 'string' and text }
end

-- Rows of outgoing edges. A flow that is being purged has edges whose downstream members are gone. When many were looked
-- at, the last row has the edge behind which the list continues, and no downstream.
local function outgoing(call, execution_id, after, limit)
  local rows, looked_at = {}, 0
  while true do
    local found = ff.leading_of(call, execution_id, after, limit - #rows)
    for i = 1, #found do
      after = string.sub(found[i], 1, LIMIT.id_length)
      rows[#rows + 1] = edge_row(call, after, string.sub(found[i], LIMIT.id_length + 1))
    end
    if #found == 0 or #rows == limit then return rows end
    looked_at = looked_at + #found
    if looked_at >= LIMIT.max_looked_at then
      rows[#rows + 1] = { after, false, false, false }
      return rows
    end
  end
end

-- read_edge: flow_id, edge_id
function ff.query.read_edge(call, flow_id, edge_id)
  local downstream = command('HGET', call.base .. KEY.edges .. flow_id, edge_id)
  return downstream and edge_row(call, edge_id, downstream) or {}
end

-- list_edges: execution_id, direction, after?, limit
function ff.query.list_edges(call, execution_id, direction, after, limit)
  if direction == 'outgoing' then return outgoing(call, execution_id, after, tonumber(limit)) end
  local rows, ids = {}, command('HKEYS', call.base .. execution_id .. SUFFIX.dependencies)
  ff.sort(ids)
  for i = 1, #ids do
    if #rows == tonumber(limit) then break end
    if ff.is_before(after, ids[i]) then rows[#rows + 1] = edge_row(call, ids[i], execution_id) end
  end
  return rows
end
