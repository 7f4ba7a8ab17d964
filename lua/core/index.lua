-- Sorted sets in the hands of a call. What is added and removed waits, so that commands of one kind write together: one
-- large command is cheaper than many small ones. A read settles first.

-- The index under a key.
function ff.index(call, key)
  local index = call.indexes[key]
  if index then return index end
  index = { key = key, verb = false, size = 0 }
  call.indexes[key] = index
  call.opened[#call.opened + 1] = index
  return index
end

-- The index under a key, after a look at it: the key is what it should be.
function ff.seen_index(call, key)
  local index = ff.index(call, key)
  if not index.seen then
    ff.settle(index)
    index.seen = true
    index.is_empty = command('ZCARD', key) == 0
  end
  return index
end

function ff.settle(index)
  if index.size == 0 then return end
  if index.verb == 'ZADD' then
    command('ZADD', index.key, unpack(index, 1, index.size))
  else
    command('ZREM', index.key, unpack(index, 1, index.size))
  end
  index.size = 0
end

local function make_room(index, verb, count)
  if index.verb ~= verb then
    ff.settle(index)
    index.verb = verb
  elseif index.size + count > LIMIT.max_unsettled then
    ff.settle(index)
  end
  return index.size
end

function ff.add(index, score, member)
  local size = make_room(index, 'ZADD', 2)
  index[size + 1], index[size + 2] = score, member
  index.size = size + 2
end

function ff.remove(index, member)
  local size = make_room(index, 'ZREM', 1)
  index[size + 1] = member
  index.size = size + 1
end

-- Adds an entry that is told of when it comes to be the first: somebody may be waiting for it.
function ff.add_noted(index, score, member, note)
  ff.add(index, score, member)
  if not index.added then index.added = {} end
  index.added[member] = note
end

-- The note of the first entry, if this call added it. Everything is settled.
function ff.new_first(index)
  if not index.added then return nil end
  local first = ff.head_of(index, 1)[1]
  return first and index.added[first], first
end

-- The first entries, as the server has them once everything is written.
function ff.head_of(index, count)
  ff.settle(index)
  return command('ZRANGE', index.key, 0, count - 1)
end
