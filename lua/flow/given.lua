-- Results of upstreams for an execution that is claimed; the twin of model/flow/given.ts.

local load_upstream = ff.refilling_loader('ending', 'result', 'fence')

-- The record of the last upstream: its table is reused.
local last_upstream = false

local function result_of(upstream)
  local result = upstream.result
  if result == LIMIT.spilled then result = guarded('GET', ff.result_key(upstream)) end
  return type(result) == 'string' and result or nil
end

-- Edge, ref, encoding and bytes of the result of an edge; `false` if there is no room for it, or it does not exist.
-- Nothing when the edge passes no data.
local function given_by(call, room, id, text)
  local edge = { id = id, dependency = text }
  ff.read_edge_dependency(edge)
  if edge.edge_state ~= EDGE_STATE.satisfied or edge.is_late ~= '' or edge.data_passing_ref == '' then return nil end
  local ran, upstream = pcall(load_upstream, call, edge.upstream, last_upstream)
  last_upstream = ran and upstream or false
  -- Damage of another record is reported when that record is used.
  if not ran then
    ff.contain(upstream)
    return false
  end
  if not upstream or upstream.situation ~= SITUATION.completed then return false end
  ff.read_ending(upstream)
  local bytes = ff.count(upstream.result_bytes)
  if bytes > room.bytes then return false end
  local result = false
  if upstream.result_bytes ~= '' then
    result = result_of(upstream)
    if not result then return false end
  end
  room.bytes = room.bytes - bytes
  return { id, edge.data_passing_ref, upstream.result_encoding, result }
end

function ff.room_of_claim()
  return { bytes = LIMIT.max_result_bytes_per_claim, edges = LIMIT.max_result_edges_per_claim }
end

-- The results that upstreams pass to an execution, and whether there are more; nil without dependencies. Takes the
-- bytes that it uses from the room.
function ff.given_to(call, execution, room)
  if not string.find(execution.extras, FIELD.group, 1, true) then return nil end
  local key = execution.key .. SUFFIX.dependencies
  local count = command('HLEN', key)
  if count > room.edges then return {}, true end
  room.edges = room.edges - count
  local pairs_of, texts, ids = command('HGETALL', key), {}, {}
  for i = 1, #pairs_of, 2 do
    ids[#ids + 1] = pairs_of[i]
    texts[pairs_of[i]] = pairs_of[i + 1]
  end
  ff.sort(ids)
  local given, is_more = {}, false
  for i = 1, #ids do
    local one = given_by(call, room, ids[i], texts[ids[i]])
    if one then given[#given + 1] = one elseif one == false then is_more = true end
  end
  return given, is_more
end

-- Adds the results to the row of a claim. Answers the new length of the reply.
function ff.tell_given(reply, size, given, is_more)
  if not given then
    reply[size + 1] = ''
    return size + 1
  end
  reply[size + 1], reply[size + 2] = #given, is_more and '1' or ''
  size = size + 2
  for i = 1, #given do
    for j = 1, 4 do reply[size + j] = given[i][j] end
    size = size + 4
  end
  return size
end
