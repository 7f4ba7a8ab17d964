-- The work that a worker can claim: the queues of a lane that it can serve, and their best entries.

-- Most queues that are read without asking which of them have work.
local FEW_KINDS = 4

-- The tokens of a list, as a set.
function ff.tokens_of(text, pattern)
  local tokens = {}
  for token in string.gmatch(text, pattern) do tokens[token] = true end
  return tokens
end

local function set_of(list)
  local set = {}
  for i = 1, #list do set[list[i]] = true end
  return set
end

-- Whether the offered tokens include all needed ones.
function ff.covers(offered, needs)
  for token in string.gmatch(needs, '[^,]+') do
    if not offered[token] then return false end
  end
  return true
end

local function count_of(set)
  local count = 0
  for _ in pairs(set) do count = count + 1 end
  return count
end

-- Queues that commands of this call have filled are not listed yet.
local function add_opened(call, lane_id, names)
  local listed
  for _, queue in pairs(call.indexes) do
    if queue.new_score and queue.lane_id == lane_id and not ff.meters_of(queue.needs) then
      listed = listed or set_of(names)
      if not listed[queue.name] then names[#names + 1] = queue.name end
    end
  end
end

-- Metered queues of a lane and a meter set with work, including those that commands of this call have filled, as needs
-- and kinds.
local function metered_queues(call, lane_id, meters)
  local places = command('ZRANGEBYLEX', call.base .. KEY.metered .. lane_id, '[' .. meters .. '\t', '(' .. meters .. '\n')
  local listed, found = set_of(places), {}
  for _, queue in pairs(call.indexes) do
    if queue.new_score and queue.lane_id == lane_id and ff.meters_of(queue.needs) == meters then
      local kind = string.match(queue.name, '[^\t]*$')
      if not listed[ff.metered_place(queue.needs, kind)] then found[#found + 1] = { needs = queue.needs, kind = kind } end
    end
  end
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    if needs then found[#found + 1] = { needs = needs, kind = kind } end
  end
  return found
end

-- The queues of a lane and a meter set that a worker can serve.
local function served_metered(call, group)
  local wanted = group.kinds ~= '' and ff.tokens_of(group.kinds, '[^\t]+')
  local offered, queues = ff.tokens_of(group.capabilities, '[^,]+'), {}
  local found = metered_queues(call, group.lane_id, group.meters)
  for i = 1, #found do
    local needs, kind = found[i].needs, found[i].kind
    if (not wanted or wanted[kind]) and ff.covers(offered, ff.capabilities_of(needs)) then
      queues[#queues + 1] = ff.queue_of(call, group.lane_id, needs, kind)
    end
  end
  return queues
end

-- The queues of a lane that a worker can serve.
local function served_queues(call, lane_id, capabilities, kinds)
  local queues = {}
  local wanted = kinds ~= '' and ff.tokens_of(kinds, '[^\t]+')
  if wanted and capabilities == '' and count_of(wanted) <= FEW_KINDS then
    for kind in string.gmatch(kinds, '[^\t]+') do queues[#queues + 1] = ff.queue_of(call, lane_id, '', kind) end
    return queues
  end
  local offered = ff.tokens_of(capabilities, '[^,]+')
  local names = command('SMEMBERS', call.base .. KEY.queues .. lane_id)
  add_opened(call, lane_id, names)
  for i = 1, #names do
    local needs, kind = string.match(names[i], '^([^\t]*)\t(.*)$')
    if needs and (not wanted or wanted[kind]) and ff.covers(offered, needs) then
      queues[#queues + 1] = ff.queue_of(call, lane_id, needs, kind)
    end
  end
  return queues
end

-- The order of a queue, for entries of several.
function ff.by_position(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return ff.is_before(a.id, b.id)
end

-- The only queue that a worker can serve, if that is known without a read.
local function only_queue(call, group)
  local kinds = group.kinds
  if group.capabilities ~= '' or kinds == '' or group.meters ~= '' or string.find(kinds, '\t', 1, true) then return nil end
  return ff.queue_of(call, group.lane_id, '', kinds)
end

-- The best work that an offer can take, at most `limit`, in the order of scores. Answers ids; the queue, if only one
-- was read; otherwise the queue of each id; and the id of the first work that a bounded claim left, if any.
function ff.candidates(call, group, limit)
  -- An earlier command of the call may have created a queue, or removed its last entry.
  local only = only_queue(call, group)
  local queues
  if only then
    queues = { only }
  elseif group.meters ~= '' then
    queues = served_metered(call, group)
  else
    queues = served_queues(call, group.lane_id, group.capabilities, group.kinds)
  end
  if not group.bound and #queues == 1 then
    local queue = queues[1]
    -- One more entry tells whether the claim leaves any.
    local ids = ff.head_of(queue, limit + 1)
    group.leaves_some, group.queue = ids[limit + 1] ~= nil, queue
    ids[limit + 1] = nil
    return ids, queue
  end
  local heads = {}
  for i = 1, #queues do
    local queue = queues[i]
    ff.settle(queue)
    local entries = command('ZRANGE', queue.key, 0, limit - 1, 'WITHSCORES')
    for j = 1, #entries, 2 do heads[#heads + 1] = { id = entries[j], score = tonumber(entries[j + 1]), queue = queue } end
  end
  table.sort(heads, ff.by_position)
  local ids, of = {}, {}
  for i = 1, math.min(limit, #heads) do
    if group.bound and heads[i].score > group.bound then return ids, nil, of, heads[i].id end
    ids[i], of[i] = heads[i].id, heads[i].queue
  end
  return ids, nil, of
end
