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

local function add_to(call, shelf, leaf, ids)
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  local count = guarded('RPUSH', key, unpack(ids))
  if type(count) ~= 'number' or count <= LIMIT.leaf_ids then return false end
  split(call, shelf, leaf, key)
  return true
end

local function remove_from(call, shelf, leaf, ids)
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  for i = 1, #ids do guarded('LREM', key, 1, ids[i]) end
  if command('EXISTS', key) == 0 then command('ZREM', ff.shelf_key(call, shelf), leaf) end
end

-- The leaf of the first of sorted ids, from `at`, and the names of the next leaves, which the other ids can need; nil
-- when the key of the shelf has another type.
local function open_leaves(call, shelf, ids, at)
  local names = ff.shelf_key(call, shelf)
  local leaf = leaf_of(names, ids[at])
  if leaf == false then return nil end
  if not leaf then
    leaf = FIRST_LEAF
    command('ZADD', names, '0', leaf)
  end
  if not ids[at + 1] then return leaf, {} end
  return leaf, command('ZRANGEBYLEX', names, '(' .. leaf, '[' .. ids[#ids], 'LIMIT', 0, LIMIT.leaves_ahead)
end

-- Calls a function for each leaf to which some of the ids belong, with these ids. It answers whether it has split the
-- leaf.
local function each_leaf(call, shelf, ids, write)
  ff.sort(ids)
  local leaf, names, next_at
  local at = 1
  while ids[at] do
    if not leaf then
      leaf, names = open_leaves(call, shelf, ids, at)
      if not leaf then return end
      next_at = 1
    end
    local own, up_to = {}, names[next_at]
    while ids[at] and #own < LIMIT.leaf_ids_at_once and not (up_to and not ff.is_before(ids[at], up_to)) do
      own[#own + 1] = ids[at]
      at = at + 1
    end
    if own[1] and write(call, shelf, leaf, own) then
      leaf = nil
    elseif up_to and ids[at] and not ff.is_before(ids[at], up_to) then
      next_at = next_at + 1
      -- After as many names as were asked for, others may follow.
      leaf = (names[next_at] or #names < LIMIT.leaves_ahead) and up_to or nil
    end
  end
end

-- The ids that a call adds to a shelf and removes from it. They are written together at the end of the call: members of
-- a flow come in any order, and belong to neighbouring leaves.
local function changes_of(call, shelf)
  local shelves = call.shelves or {}
  local changes = shelves[shelf]
  if not changes then
    changes = { shelf = shelf, added = {}, removed = {} }
    shelves[#shelves + 1], shelves[shelf], call.shelves = changes, changes, shelves
  end
  return changes
end

local function listed(set)
  local ids = {}
  for id in pairs(set) do ids[#ids + 1] = id end
  return ids
end

-- Writes what a read of the shelves must find. An id that was removed and added again is removed first.
function ff.settle_shelves(call)
  local shelves = call.shelves
  if not shelves then return end
  call.shelves = false
  for i = 1, #shelves do
    local changes = shelves[i]
    each_leaf(call, changes.shelf, listed(changes.removed), remove_from)
    each_leaf(call, changes.shelf, listed(changes.added), add_to)
  end
end

-- Adds an execution to a shelf that does not contain it.
function ff.shelve(call, shelf, id)
  changes_of(call, shelf).added[id] = true
end

-- Removes an execution from a shelf.
function ff.unshelve(call, shelf, id)
  local changes = changes_of(call, shelf)
  changes.added[id], changes.removed[id] = nil, true
end

-- Whether a shelf contains an execution.
function ff.is_on_shelf(call, shelf, id)
  ff.settle_shelves(call)
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
