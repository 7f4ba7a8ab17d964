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

-- list_flow_members: flow_id, from, limit
function ff.query.list_flow_members(call, flow_id, from, limit)
  local ids = command('ZRANGEBYSCORE', call.base .. KEY.members .. flow_id, from, '+inf', 'LIMIT', 0, limit)
  local rows = {}
  for i = 1, #ids do
    local key = call.base .. ids[i]
    rows[i] = { ids[i], pairs_of(key), pairs_of(key .. SUFFIX.details) }
  end
  return rows
end

-- An edge, and the membership of its downstream.
local function edge_row(call, edge_id, downstream)
  local text = command('HGET', call.base .. downstream .. SUFFIX.dependencies, edge_id)
  local membership = text and command('HGET', call.base .. downstream, FIELD.membership)
  if not membership then return nil end
  return { edge_id, downstream, membership, text }
end

-- read_edge: flow_id, edge_id
function ff.query.read_edge(call, flow_id, edge_id)
  local downstream = command('HGET', call.base .. KEY.edges .. flow_id, edge_id)
  return downstream and edge_row(call, edge_id, downstream) or {}
end

-- list_edges: execution_id, direction, after?, limit
function ff.query.list_edges(call, execution_id, direction, after, limit)
  local rows = {}
  if direction == 'outgoing' then
    local found = ff.leading_of(call, execution_id, after, limit)
    for i = 1, #found do
      rows[#rows + 1] = edge_row(call, string.sub(found[i], 1, LIMIT.id_length), string.sub(found[i], LIMIT.id_length + 1))
    end
    return rows
  end
  local ids = command('HKEYS', call.base .. execution_id .. SUFFIX.dependencies)
  ff.sort(ids)
  for i = 1, #ids do
    if #rows == tonumber(limit) then break end
    if ff.is_before(after, ids[i]) then rows[#rows + 1] = edge_row(call, ids[i], execution_id) end
  end
  return rows
end
