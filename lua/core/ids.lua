-- The index of all executions of a partition. It is a list of leaves; a leaf is named after the lowest id that it can
-- hold, and the first one is named `-`, which comes before all ids. Inside a leaf ids stand as they came: a listing sorts
-- what it reads. So an id takes 24 bytes instead of 130, and entering one costs the end of a list.

local FIRST_LEAF = '-'

-- The leaf that an id belongs to, and where the next one begins.
local function find_leaf(call, id)
  local names = call.base .. KEY.ids
  local name = command('ZREVRANGEBYLEX', names, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  local leaf = { name = name or FIRST_LEAF, is_new = not name, key = false, up_to = false, count = 0, size = 0 }
  leaf.key = call.base .. KEY.leaf .. leaf.name
  leaf.up_to = command('ZRANGEBYLEX', names, '(' .. leaf.name, '+', 'LIMIT', 0, 1)[1] or false
  leaf.count = command('LLEN', leaf.key)
  return leaf
end

local function settle(leaf)
  if leaf.size == 0 then return end
  command('RPUSH', leaf.key, unpack(leaf, 1, leaf.size))
  leaf.size = 0
end

-- The leaf of an id: mostly the one that was looked at last.
local function leaf_of(call, id)
  local leaf = call.leaf
  if leaf then
    if id >= leaf.name and (not leaf.up_to or id < leaf.up_to) then return leaf end
    settle(leaf)
  end
  leaf = find_leaf(call, id)
  call.leaf = leaf
  return leaf
end

-- Looks at where an id will be entered: what `ff.enter_id` writes to is what it should be.
function ff.check_ids(call, id)
  leaf_of(call, id)
end

function ff.settle_ids(call)
  if call.leaf then settle(call.leaf) end
end

-- Makes a full leaf two. Ids mostly come in order: then the last leaf keeps nearly all, so that leaves stay full.
local function split(call, leaf)
  settle(leaf)
  local ids = command('LRANGE', leaf.key, 0, -1)
  table.sort(ids)
  local cut = math.floor(leaf.up_to and #ids / 2 or #ids * 0.9)
  local name = ids[cut + 1]
  command('UNLINK', leaf.key)
  command('RPUSH', leaf.key, unpack(ids, 1, cut))
  command('RPUSH', call.base .. KEY.leaf .. name, unpack(ids, cut + 1))
  command('ZADD', call.base .. KEY.ids, '0', name)
  call.leaf = false
end

function ff.enter_id(call, id)
  local leaf = leaf_of(call, id)
  if leaf.count >= LIMIT.leaf_ids then
    split(call, leaf)
    leaf = leaf_of(call, id)
  end
  if leaf.is_new then
    command('ZADD', call.base .. KEY.ids, '0', leaf.name)
    leaf.is_new = false
  end
  local size = leaf.size + 1
  leaf[size] = id
  leaf.size = size
  leaf.count = leaf.count + 1
end

function ff.leave_id(call, id)
  local leaf = leaf_of(call, id)
  settle(leaf)
  command('LREM', leaf.key, 1, id)
  leaf.count = leaf.count - 1
  if leaf.count > 0 or command('EXISTS', leaf.key) == 1 then return end
  command('ZREM', call.base .. KEY.ids, leaf.name)
  call.leaf = false
end
