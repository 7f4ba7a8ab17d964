-- The index of all executions of a partition, in the order of their ids. It is a list of leaves: sorted sets so small
-- that the server keeps each as one compact text, which takes a quarter of the memory. A leaf is named after the first id
-- that it can hold; the first one is named `-`, which comes before all ids.

local FIRST_LEAF = '-'

-- The leaf that an id belongs to, and where the next one begins.
local function find_leaf(call, id)
  local names = call.base .. KEY.ids
  local name = command('ZREVRANGEBYLEX', names, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  local leaf = { name = name or FIRST_LEAF, is_new = not name }
  leaf.key = call.base .. KEY.leaf .. leaf.name
  leaf.up_to = command('ZRANGEBYLEX', names, '(' .. leaf.name, '+', 'LIMIT', 0, 1)[1]
  leaf.count = command('ZCARD', leaf.key)
  return leaf
end

-- The leaf of an id: mostly the one that was looked at last.
local function leaf_of(call, id)
  local leaf = call.leaf
  if leaf and id >= leaf.name and (not leaf.up_to or id < leaf.up_to) then return leaf end
  leaf = find_leaf(call, id)
  call.leaf = leaf
  return leaf
end

-- Looks at where an id will be entered: what `ff.enter_id` writes to is what it should be.
function ff.check_ids(call, id)
  leaf_of(call, id)
end

-- Makes a full leaf two. Ids mostly come in order: then the last leaf keeps nearly all, so that leaves stay full.
local function split(call, leaf)
  local index = ff.index(call, leaf.key)
  ff.settle(index)
  local cut = leaf.up_to and LIMIT.leaf_ids / 2 or LIMIT.leaf_ids * 0.9
  local moved = command('ZRANGE', leaf.key, cut, -1)
  local name = moved[1]
  local other = ff.index(call, call.base .. KEY.leaf .. name)
  for i = 1, #moved do ff.add(other, 0, moved[i]) end
  ff.settle(other)
  command('ZREMRANGEBYRANK', leaf.key, cut, -1)
  command('ZADD', call.base .. KEY.ids, 0, name)
  call.leaf = nil
end

function ff.enter_id(call, id)
  local leaf = leaf_of(call, id)
  if leaf.count >= LIMIT.leaf_ids then
    split(call, leaf)
    leaf = leaf_of(call, id)
  end
  if leaf.is_new then
    command('ZADD', call.base .. KEY.ids, 0, leaf.name)
    leaf.is_new = false
  end
  ff.add(ff.index(call, leaf.key), 0, id)
  leaf.count = leaf.count + 1
end

function ff.leave_id(call, id)
  local leaf = leaf_of(call, id)
  local index = ff.index(call, leaf.key)
  ff.settle(index)
  command('ZREM', leaf.key, id)
  leaf.count = leaf.count - 1
  if command('EXISTS', leaf.key) == 1 then return end
  command('ZREM', call.base .. KEY.ids, leaf.name)
  call.leaf = nil
end
