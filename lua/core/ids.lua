-- The index of all executions of a partition. It is a list of leaves; a leaf is named after the lowest id that it can
-- hold, and the first one is named `-`, which comes before all ids. Inside a leaf ids stand as they came: a listing sorts
-- what it reads. So an id takes 24 bytes instead of 130, and entering one costs the end of a list.

local FIRST_LEAF = '-'

-- The leaf that an id belongs to.
local function find_leaf(call, id)
  local name = command('ZREVRANGEBYLEX', call.base .. KEY.ids, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  local key = call.base .. KEY.leaf .. (name or FIRST_LEAF)
  return { name = name or FIRST_LEAF, is_new = not name, key = key, count = command('LLEN', key), size = 0 }
end

-- Whether the leaf holds an id. Where the next one begins is asked for when a second id comes.
local function holds(call, leaf, id)
  if leaf.up_to == nil then
    leaf.up_to = command('ZRANGEBYLEX', call.base .. KEY.ids, '(' .. leaf.name, '+', 'LIMIT', 0, 1)[1] or false
  end
  return id >= leaf.name and (not leaf.up_to or id < leaf.up_to)
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
    if leaf.checked == id or holds(call, leaf, id) then return leaf end
    settle(leaf)
  end
  leaf = find_leaf(call, id)
  leaf.checked = id
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
  local is_last = #command('ZRANGEBYLEX', call.base .. KEY.ids, '(' .. leaf.name, '+', 'LIMIT', 0, 1) == 0
  local cut = math.floor(is_last and #ids * 0.9 or #ids / 2)
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
  leaf.count = leaf.count + 1
  if not call.gathers then
    command('RPUSH', leaf.key, id)
    return
  end
  local size = leaf.size + 1
  leaf[size] = id
  leaf.size = size
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
