-- Shelves: executions that are few and that people look for, by id; the twin of model/listing/shelves.ts. A shelf is made
-- of leaves, as the index of ids is (lua/core/ids.lua): a name and 24 bytes an id. Nothing is decided by them: what is
-- written to is not looked at before, a shelf that is none holds no work up, and `verify_partition` makes it anew.

local FIRST_LEAF = '-'

function ff.shelf_key(call, shelf)
  return call.base .. KEY.shelf .. shelf
end

function ff.shelf_leaf_key(call, shelf, leaf)
  return call.base .. KEY.shelved .. leaf .. ':' .. shelf
end

-- The leaf that an id belongs to; nothing when there is none yet, false when the shelf is none.
local function leaf_of(names, id)
  local found = guarded('ZREVRANGEBYLEX', names, '[' .. id, '-', 'LIMIT', 0, 1)
  if found.err then return false end
  return found[1]
end

-- Makes a full leaf two. Ids mostly come in order: then the last leaf keeps nearly all, so that leaves stay full.
local function split(call, shelf, leaf, key)
  local names = ff.shelf_key(call, shelf)
  local ids = command('LRANGE', key, 0, -1)
  ff.sort(ids)
  local is_last = #command('ZRANGEBYLEX', names, '(' .. leaf, '+', 'LIMIT', 0, 1) == 0
  local cut = math.floor(is_last and #ids * 0.9 or #ids / 2)
  local next_leaf = ids[cut + 1]
  local next_key = ff.shelf_leaf_key(call, shelf, next_leaf)
  command('UNLINK', key, next_key)
  command('RPUSH', key, unpack(ids, 1, cut))
  command('RPUSH', next_key, unpack(ids, cut + 1))
  command('ZADD', names, '0', next_leaf)
end

-- Whether a leaf in hand is the one for an id. Where the next one begins is asked for when a second id comes.
local function holds(call, leaf, shelf, id)
  if leaf.shelf ~= shelf or ff.is_before(id, leaf.name) then return false end
  if leaf.up_to == nil then
    local found = guarded('ZRANGEBYLEX', ff.shelf_key(call, shelf), '(' .. leaf.name, '+', 'LIMIT', 0, 1)
    leaf.up_to = found[1] or false
  end
  return not leaf.up_to or ff.is_before(id, leaf.up_to)
end

-- The leaf for an id, in the hands of the call; nil when the shelf is none.
local function open_leaf(call, shelf, id)
  local names = ff.shelf_key(call, shelf)
  local name = leaf_of(names, id)
  if name == false then return nil end
  if not name then
    name = FIRST_LEAF
    command('ZADD', names, '0', name)
  end
  return { shelf = shelf, name = name, key = ff.shelf_leaf_key(call, shelf, name), up_to = nil, size = 0 }
end

-- Writes the ids that wait for a leaf. One that is made two is in hand no more, and those beside it are looked for anew.
local function settle_leaf(call, leaf)
  if leaf.size == 0 then return end
  local count = guarded('RPUSH', leaf.key, unpack(leaf, 1, leaf.size))
  leaf.size = 0
  if type(count) ~= 'number' or count <= LIMIT.leaf_ids then return end
  split(call, leaf.shelf, leaf.name, leaf.key)
  leaf.shelf = false
end

-- Writes the ids that wait for leaves in hand.
function ff.settle_shelves(call)
  local leaves = call.shelf_leaves
  for i = 1, #leaves do settle_leaf(call, leaves[i]) end
end

-- What a look at a shelf has to find is written.
local function leave_hand(call)
  if not call.shelf_leaves then return end
  ff.settle_shelves(call)
  call.shelf_leaves = false
end

-- The leaf in hand for an id: members of one flow, in any order, go to few leaves.
local function leaf_in_hand(call, shelf, id)
  local leaves = call.shelf_leaves
  if leaves then
    for i = #leaves, 1, -1 do
      if holds(call, leaves[i], shelf, id) then return leaves[i] end
    end
    if #leaves >= LIMIT.shelf_leaves_in_hand then leave_hand(call) end
  end
  local leaf = open_leaf(call, shelf, id)
  if not leaf then return nil end
  leaves = call.shelf_leaves or {}
  leaves[#leaves + 1], call.shelf_leaves = leaf, leaves
  return leaf
end

-- Puts an execution on a shelf on which it does not stand. Ids of one leaf wait for each other, as entries of indexes do.
function ff.shelve(call, shelf, id)
  local leaf = leaf_in_hand(call, shelf, id)
  if not leaf then return end
  local size = leaf.size + 1
  leaf.size, leaf[size] = size, id
  if not call.gathers or size == LIMIT.unsettled_leaf_ids then settle_leaf(call, leaf) end
end

-- Takes an execution off a shelf.
function ff.unshelve(call, shelf, id)
  leave_hand(call)
  local names = ff.shelf_key(call, shelf)
  local leaf = leaf_of(names, id)
  if not leaf then return end
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  guarded('LREM', key, 1, id)
  if command('EXISTS', key) == 0 then command('ZREM', names, leaf) end
end

-- Whether an execution stands on a shelf.
function ff.is_on_shelf(call, shelf, id)
  leave_hand(call)
  local leaf = leaf_of(ff.shelf_key(call, shelf), id)
  return leaf and type(guarded('LPOS', ff.shelf_leaf_key(call, shelf, leaf), id)) == 'number' or false
end

-- Moves an execution between the shelves of two situations; nil is none.
function ff.reshelve(call, id, before, after)
  if SHELVED[before] then ff.unshelve(call, before, id) end
  if SHELVED[after] then ff.shelve(call, after, id) end
end

-- The shelf of a tag: its key, and its value as it stands in JSON.
function ff.tag_shelf(key, value)
  return LIMIT.tag_shelf .. key .. '=' .. value
end

-- Moves an execution between the shelves of its tags before and behind a change, both as JSON texts; only tags that the
-- deployment has indexed have shelves.
function ff.reshelve_tags(call, id, before, after)
  local was, is = ff.indexed_tags(call, before).shelves, ff.indexed_tags(call, after).shelves
  for shelf in pairs(was) do
    if not is[shelf] then ff.unshelve(call, shelf, id) end
  end
  for shelf in pairs(is) do
    if not was[shelf] then ff.shelve(call, shelf, id) end
  end
end
