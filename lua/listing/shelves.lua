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

-- Puts an execution on a shelf on which it does not stand.
function ff.shelve(call, shelf, id)
  local names = ff.shelf_key(call, shelf)
  local leaf = leaf_of(names, id)
  if leaf == false then return end
  if not leaf then
    leaf = FIRST_LEAF
    command('ZADD', names, '0', leaf)
  end
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  local count = guarded('RPUSH', key, id)
  if type(count) == 'number' and count > LIMIT.leaf_ids then split(call, shelf, leaf, key) end
end

-- Takes an execution off a shelf.
function ff.unshelve(call, shelf, id)
  local names = ff.shelf_key(call, shelf)
  local leaf = leaf_of(names, id)
  if not leaf then return end
  local key = ff.shelf_leaf_key(call, shelf, leaf)
  guarded('LREM', key, 1, id)
  if command('EXISTS', key) == 0 then command('ZREM', names, leaf) end
end

-- Whether an execution stands on a shelf.
function ff.is_on_shelf(call, shelf, id)
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

local NONE = {}

-- Values of the tags of a JSON text by key; none when it cannot be read, which is found where it is read for itself.
local function values_of(json)
  if not json or json == '' then return NONE end
  local ran, _, values = pcall(ff.tags_of, json)
  return ran and values or NONE
end

-- The shelves of the indexed tags of a JSON text.
function ff.tag_shelves(call, json)
  local shelves, indexed = {}, call.settings.indexed_tags
  if not indexed then return shelves end
  for key, value in pairs(values_of(json)) do
    if indexed[key] then shelves[#shelves + 1] = ff.tag_shelf(key, value) end
  end
  return shelves
end

-- Moves an execution between the shelves of its tags before and behind a change, both as JSON texts; only tags that the
-- deployment has indexed have shelves.
function ff.reshelve_tags(call, id, before, after)
  local indexed = call.settings.indexed_tags
  if not indexed then return end
  local was, is = values_of(before), values_of(after)
  for key in pairs(indexed) do
    if was[key] ~= is[key] then
      if was[key] then ff.unshelve(call, ff.tag_shelf(key, was[key]), id) end
      if is[key] then ff.shelve(call, ff.tag_shelf(key, is[key]), id) end
    end
  end
end
