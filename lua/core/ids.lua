-- The index of all executions of a partition. It is a list of leaves; a leaf is named after the lowest id that it can
-- hold, and the first one is named `-`, which comes before all ids. Inside a leaf ids are in the order of their
-- arrival: a listing sorts what it reads. So an id takes 24 bytes instead of 130, and entering one costs an append to a
-- list. Ids mostly arrive in order: while the last leaf and the highest id are known (lua/core/call.lua), no leaf has
-- to be searched. The index decides where an id is entered, never whether its execution exists: the index may be lost,
-- so only the record decides that.

local FIRST_LEAF = '-'

local function next_leaf(call, name)
  return command('ZRANGEBYLEX', call.base .. KEY.ids, '(' .. name, '+', 'LIMIT', 0, 1)[1]
end

-- A leaf in hand. `up_to` is the name of the next leaf: false for the last one, nil while unknown. `is_looked_at` says
-- whether this call has read its length, which is then in `count`.
local function open_leaf(call, name, up_to, is_new)
  local key = call.base .. KEY.leaf .. name
  return {
    name = name, key = key, count = command('LLEN', key), is_looked_at = true, is_new = is_new, up_to = up_to, size = 0,
    -- The id that was checked last, whether it is above all others, and whether the key of the leaf was left unchecked
    -- for it.
    checked = false, is_highest = false, is_unchecked = false,
  }
end

-- Learns which leaf is the last, and which id is the highest. A leaf that has lost its ids tells neither.
local function learn_highest(call, leaf)
  if call.newest_leaf or leaf.count == 0 then return end
  leaf.up_to = next_leaf(call, leaf.name) or false
  if leaf.up_to then return end
  local highest = ''
  local ids = command('LRANGE', leaf.key, 0, -1)
  for i = 1, #ids do
    if ff.is_before(highest, ids[i]) then highest = ids[i] end
  end
  call.newest_leaf, call.highest_id = leaf, highest
end

-- The leaf of an id that is not above all others.
local function find_leaf(call, id)
  local newest = call.newest_leaf
  local name = command('ZREVRANGEBYLEX', call.base .. KEY.ids, '[' .. id, '-', 'LIMIT', 0, 1)[1]
  if not name then return open_leaf(call, FIRST_LEAF, nil, true) end
  if newest and newest.name == name then
    newest.is_looked_at = false
    return newest
  end
  local leaf = open_leaf(call, name, nil, false)
  learn_highest(call, leaf)
  return leaf
end

-- Whether an id belongs to the leaf. The name of the next leaf is read when a second id arrives.
local function holds(call, leaf, id)
  if leaf.up_to == nil then leaf.up_to = next_leaf(call, leaf.name) or false end
  return not ff.is_before(id, leaf.name) and (not leaf.up_to or ff.is_before(id, leaf.up_to))
end

local function settle(leaf)
  if leaf.size == 0 then return end
  command('RPUSH', leaf.key, unpack(leaf, 1, leaf.size))
  leaf.size = 0
end

-- The leaf of an id: mostly the last one used, or that of the newest ids, which is kept between calls.
local function leaf_of(call, id)
  local leaf = call.leaf
  if leaf and leaf.checked == id then return leaf end
  local newest = call.newest_leaf
  local is_highest = newest and ff.is_before(call.highest_id, id)
  if is_highest and leaf ~= newest or not is_highest and not (leaf and holds(call, leaf, id)) then
    if leaf then settle(leaf) end
    if is_highest then
      newest.is_looked_at = false
      leaf = newest
    else
      leaf = find_leaf(call, id)
    end
    call.leaf = leaf
  end
  leaf.checked, leaf.is_highest = id, is_highest
  return leaf
end

-- Checks the keys to which an id will be written. If entering the id is the first write of the command, the command
-- fails there as well and has written nothing, so a leaf with room is not checked.
function ff.check_ids(call, id, is_written_first)
  local leaf = leaf_of(call, id)
  leaf.is_unchecked = false
  if not leaf.is_looked_at then
    if is_written_first and not call.gathers and not leaf.is_new and leaf.count < LIMIT.leaf_ids_in_order then
      leaf.is_unchecked = true
      return
    end
    leaf.count, leaf.is_looked_at = command('LLEN', leaf.key), true
  end
  if leaf.count < LIMIT.leaf_ids_in_order and not leaf.is_new then return end
  command('ZCARD', call.base .. KEY.ids)
  command('LLEN', call.base .. KEY.leaf .. id)
end

function ff.settle_ids(call)
  if call.leaf then settle(call.leaf) end
end

-- Splits a full leaf. Ids at the end mostly continue in order, so the last leaf keeps nearly all of its ids.
local function split(call, leaf)
  settle(leaf)
  local ids = command('LRANGE', leaf.key, 0, -1)
  ff.sort(ids)
  local is_last = not next_leaf(call, leaf.name)
  local cut = math.floor(is_last and #ids * 0.9 or #ids / 2)
  local name = ids[cut + 1]
  command('UNLINK', leaf.key)
  command('RPUSH', leaf.key, unpack(ids, 1, cut))
  command('RPUSH', call.base .. KEY.leaf .. name, unpack(ids, cut + 1))
  command('ZADD', call.base .. KEY.ids, '0', name)
  if is_last then call.newest_leaf, call.highest_id = open_leaf(call, name, false, false), ids[#ids] end
  call.leaf = false
end

-- Starts a leaf after all others. Earlier leaves keep room for ids that arrive late.
local function begin_leaf(call, leaf, id)
  settle(leaf)
  local new = open_leaf(call, id, false, true)
  new.checked, new.is_highest = id, true
  call.leaf = new
  return new
end

function ff.enter_id(call, id)
  local leaf = leaf_of(call, id)
  if leaf.count >= LIMIT.leaf_ids_in_order then
    if leaf.is_highest then
      leaf = begin_leaf(call, leaf, id)
    elseif leaf.count >= LIMIT.leaf_ids then
      split(call, leaf)
      leaf = leaf_of(call, id)
    end
  end
  if leaf.is_new then
    if leaf.up_to == nil then leaf.up_to = next_leaf(call, leaf.name) or false end
    command('ZADD', call.base .. KEY.ids, '0', leaf.name)
    leaf.is_new = false
    -- A key that has ids although no leaf was listed may have higher ones.
    if not leaf.up_to then call.newest_leaf, call.highest_id = leaf.count == 0 and leaf, id end
  elseif leaf.is_highest then
    call.highest_id = id
  end
  if not call.gathers then
    call.is_untouched = leaf.is_unchecked
    leaf.count = command('RPUSH', leaf.key, id)
    call.is_untouched, leaf.is_unchecked = false, false
    return
  end
  leaf.count = leaf.count + 1
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
  if leaf == call.newest_leaf then call.newest_leaf = false end
end
