-- What a member leaves behind that is given up (model/partition/quarantine.ts). Its record may be unreadable, or gone: what is
-- about it is found by its keys, and its flow by those that it leads to, or that lead to it.

local function flow_beside(call, id)
  return ff.flow_of({ id = id, key = call.base .. id })
end

-- Edges that lead out of it, a bounded number of them, and how many more there are.
function ff.edges_out_of(call, id)
  local key = call.base .. id .. SUFFIX.leading
  local found = guarded('ZRANGE', key, 0, LIMIT.units_at_once - 1)
  local edges = {}
  for i = 1, #found do
    local edge_id, downstream = string.match(found[i], '^(......................)(.*)$')
    edges[i] = { edge = edge_id, downstream = downstream, bucket = BUCKET.failed, entry = found[i] }
  end
  return edges, #edges == 0 and 0 or command('ZCARD', key) - #edges
end

-- The id of its flow; false when nothing says it.
function ff.flow_of_dropped(call, id, edges)
  local flow = flow_beside(call, id) or edges[1] and flow_beside(call, edges[1].downstream)
  if flow then return flow end
  local incoming = guarded('HGETALL', call.base .. id .. SUFFIX.dependencies)
  if not incoming[2] then return false end
  local edge = { dependency = incoming[2] }
  return pcall(ff.read_edge_dependency, edge) and flow_beside(call, edge.upstream)
end

-- A member whose record cannot be read leaves its flow.
function ff.forget_unreadable(call, id, flow)
  local life = guarded('HGET', call.base .. id, FIELD.life)
  local situation = type(life) == 'string' and string.sub(life, 1, 1)
  if PHASE[situation] then ff.tally(call, LIMIT.counted_flow .. flow, situation, nil) end
  guarded('ZREM', call.base .. KEY.members .. flow, id)
end

-- Those that wait for it are told that it ended badly: nobody else will, and they would wait for ever.
function ff.tell_of_drop(call, id, flow_id, edges)
  for i = 1, #edges do command('ZREM', call.base .. id .. SUFFIX.leading, edges[i].entry) end
  local flow = ff.readable_flow(call, flow_id)
  if flow then ff.settle_flow(call, flow, edges) end
end
