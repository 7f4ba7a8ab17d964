-- Shelves: executions in situations that are rare and often searched for, by id; the twin of model/listing/shelves.ts.
-- A shelf consists of leaves, like the index of ids (lua/core/ids.lua): a name and 24 bytes per id. No decision depends
-- on shelves: their keys are not checked before a write, a key of another type stops nothing, and `verify_partition`
-- rebuilds them.

local FIRST_LEAF = '-'

function ff.shelf_key(call, shelf)
  return call.base .. KEY.shelf .. shelf
end

function ff.shelf_leaf_key(call, shelf, leaf)
  return call.base .. KEY.shelved .. leaf .. ':' .. shelf
end

-- The leaf of an id; nothing when there are no leaves yet, false when the key has another type.
local function leaf_of(names, id)
  local found = guarded('ZREVRANGEBYLEX', names, '[' .. id, '-', 'LIMIT', 0, 1)
  if found.err then return false end
  return found[1]
end

-- Splits a full leaf. Ids mostly arrive in order, so the last leaf keeps nearly all of its ids and stays full.
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

-- Whether a leaf in hand is the one for an id. The name of the next leaf is read when a second id arrives.
local function holds(call, leaf, shelf, id)
  if leaf.shelf ~= shelf or ff.is_before(id, leaf.name) then return false end
  if leaf.up_to == nil then
    local found = guarded('ZRANGEBYLEX', ff.shelf_key(call, shelf), '(' .. leaf.name, '+', 'LIMIT', 0, 1)
    leaf.up_to = found[1] or false
  end
  return not leaf.up_to or ff.is_before(id, leaf.up_to)
end

-- The leaf for an id, in hand; nil when the key of the shelf has another type.
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

-- Writes the ids that were gathered for a leaf. A leaf that is split is no longer in hand, and its neighbours are
-- searched again.
local function settle_leaf(call, leaf)
  if leaf.size == 0 then return end
  local count = guarded('RPUSH', leaf.key, unpack(leaf, 1, leaf.size))
  leaf.size = 0
  if type(count) ~= 'number' or count <= LIMIT.leaf_ids then return end
  split(call, leaf.shelf, leaf.name, leaf.key)
  leaf.shelf = false
end

-- Writes the ids that were gathered for leaves in hand.
function ff.settle_shelves(call)
  local leaves = call.shelf_leaves
  for i = 1, #leaves do settle_leaf(call, leaves[i]) end
end

-- Writes what a read of a shelf must find.
local function leave_hand(call)
  if not call.shelf_leaves then return end
  ff.settle_shelves(call)
  call.shelf_leaves = false
end

-- The leaf in hand for an id: members of one flow, in any order, belong to few leaves.
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

-- Adds an execution to a shelf that does not contain it. Ids of a leaf are gathered, like entries of indexes.
function ff.shelve(call, shelf, id)
  local leaf = leaf_in_hand(call, shelf, id)
  if not leaf then return end
  local size = leaf.size + 1
  leaf.size, leaf[size] = size, id
  if not call.gathers or size == LIMIT.unsettled_leaf_ids then settle_leaf(call, leaf) end
end

-- The leaf for the first of sorted ids, from `at`, in hand, and the names of the next leaves that the other ids can
-- need; nil when the key of the shelf has another type.
local function open_leaves(call, shelf, ids, at)
  local leaf = open_leaf(call, shelf, ids[at])
  if not leaf then return nil end
  local names = ff.shelf_key(call, shelf)
  return leaf, command('ZRANGEBYLEX', names, '(' .. leaf.name, '[' .. ids[#ids], 'LIMIT', 0, #ids)
end

-- Adds several executions to a shelf that contains none of them. Their leaves are searched together.
function ff.shelve_many(call, shelf, ids)
  leave_hand(call)
  ff.sort(ids)
  local leaf, names, next_at
  local at = 1
  while ids[at] do
    if not leaf then
      leaf, names = open_leaves(call, shelf, ids, at)
      if not leaf then return end
      next_at = 1
    end
    local up_to = names[next_at]
    if up_to and not ff.is_before(ids[at], up_to) then
      settle_leaf(call, leaf)
      next_at = next_at + 1
      -- After as many names as were asked for, others may follow.
      leaf = (names[next_at] or #names < #ids) and { shelf = shelf, name = up_to, key = ff.shelf_leaf_key(call, shelf, up_to), size = 0 }
    else
      local size = leaf.size + 1
      leaf.size, leaf[size] = size, ids[at]
      at = at + 1
      if size >= LIMIT.leaf_ids / 2 then
        settle_leaf(call, leaf)
        -- It may have been split.
        leaf = leaf.shelf and leaf
      end
    end
  end
  if leaf then settle_leaf(call, leaf) end
end

-- Removes an execution from a shelf.
function ff.unshelve(call, shelf, id)
  leave_hand(call)
  local names = ff.shelf_key(call, shelf)
  local leaf = leaf_of(names, id)
  if not leaf then return end
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  guarded('LREM', key, 1, id)
  if command('EXISTS', key) == 0 then command('ZREM', names, leaf) end
end

-- Whether a shelf contains an execution.
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

-- The shelf of a tag: its key, and its value in JSON.
function ff.tag_shelf(key, value)
  return LIMIT.tag_shelf .. key .. '=' .. value
end

-- Moves an execution between the shelves of its tags before and after a change, both as JSON texts; only tags that the
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
