-- The flow of a dropped member (model/partition/quarantine.ts). Its record may be unreadable or missing: the data about
-- it is found by its keys, and its flow through its upstreams and downstream members.

local function flow_beside(call, id)
  local flow = ff.flow_of({ id = id, key = call.base .. id })
  return flow and command('EXISTS', call.base .. FLOW.key .. flow) == 1 and flow
end

-- Its outgoing edges, a bounded number; the entries that were read, of which malformed ones have no edge; and the
-- number of further entries.
function ff.edges_out_of(call, id)
  local key = call.base .. id .. SUFFIX.leading
  local edge, only_downstream = ff.only_edge_of({ key = call.base .. id })
  if edge then return { { edge = edge, downstream = only_downstream, bucket = BUCKET.failed } }, {}, 0 end
  local entries = guarded('ZRANGE', key, 0, LIMIT.units_at_once - 1)
  local edges = {}
  for i = 1, #entries do
    local entry = entries[i]
    if #entry == 2 * LIMIT.id_length then
      local edge_id, downstream = string.sub(entry, 1, LIMIT.id_length), string.sub(entry, LIMIT.id_length + 1)
      edges[#edges + 1] = { edge = edge_id, downstream = downstream, bucket = BUCKET.failed }
    end
  end
  return edges, entries, #entries == 0 and 0 or command('ZCARD', key) - #entries
end

local function flow_downstream(call, edges)
  for i = 1, #edges do
    local flow = flow_beside(call, edges[i].downstream)
    if flow then return flow end
  end
  return false
end

local function flow_upstream(call, id)
  local incoming = guarded('HGETALL', call.base .. id .. SUFFIX.dependencies)
  for i = 2, math.min(#incoming, 2 * LIMIT.units_at_once), 2 do
    local is_readable, edge = pcall(ff.read_edge, incoming[i - 1], incoming[i])
    local flow = is_readable and flow_beside(call, edge.upstream)
    if flow then return flow end
  end
  return false
end

-- The flow whose index of members has it, among a bounded number of flows.
local function flow_listing(call, id)
  local flows = guarded('ZRANGE', call.base .. KEY.flows, 0, LIMIT.max_looked_at - 1)
  for i = 1, #flows do
    if type(guarded('ZSCORE', call.base .. KEY.members .. flows[i], id)) == 'string' then return flows[i] end
  end
  return false
end

-- The id of its flow; false when nothing tells it.
function ff.flow_of_dropped(call, id, edges)
  return flow_beside(call, id) or flow_downstream(call, edges) or flow_upstream(call, id) or flow_listing(call, id)
end

-- A situation in which a flow counts more members than can be read; nil when the counts do not have exactly the unreadable
-- members more. It does not matter which of these is in which situation; ended ones go first, because the flow must not
-- end before the last of the others is dropped.
local function miscount(call, flow)
  local situations = ff.situations_of(call, flow)
  if not situations then return nil end
  ff.settle_tallies(call)
  local stored, counts = guarded('HGETALL', call.base .. KEY.counts .. LIMIT.counted_flow .. flow), {}
  for i = 1, #stored, 2 do counts[stored[i]] = tonumber(stored[i + 1]) end
  -- The dropped one is no longer in the index.
  local unreadable, found = 1, nil
  for _, situation in pairs(situations) do
    if situation then counts[situation] = (counts[situation] or 0) - 1 else unreadable = unreadable + 1 end
  end
  for situation, number in pairs(counts) do
    if number < 0 then return nil end
    unreadable = unreadable - number
    if number > 0 and (not found or ff.is_terminal(situation)) then found = situation end
  end
  return unreadable == 0 and found or nil
end

-- Removes a member with an unreadable record from its flow, and from the counts of the flow if they tell how they count
-- it.
function ff.forget_unreadable(call, id, flow)
  guarded('ZREM', call.base .. KEY.members .. flow, id)
  local situation = ff.stored_situation(call, id) or miscount(call, flow)
  if situation then ff.tally(call, LIMIT.counted_flow .. flow, situation, nil) end
end

-- Resolves the edges of a dropped member as if it had ended badly: otherwise its downstream members would wait forever.
function ff.tell_of_drop(call, flow_id, edges)
  local flow = ff.readable_flow(call, flow_id)
  if flow then ff.settle_flow(call, flow, edges) end
end
