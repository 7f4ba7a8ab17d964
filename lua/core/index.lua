-- Sorted sets in the hands of a call. What is added and removed waits, so that commands of one kind write together: one
-- large command is cheaper than many small ones. A read settles first.

-- The index under a key.
function ff.index(call, key)
  local index = call.indexes[key]
  if index then return index end
  index = {
    key = key, verb = false, size = 0, seen = false, is_empty = false, has_left = false,
    -- The lowest of what was added, and what is told of it when it comes to be the first of all.
    new_score = false, new_member = false, note = false,
    -- Of a queue: where it belongs.
    lane_id = false, name = false, needs = false,
  }
  call.indexes[key] = index
  call.opened[#call.opened + 1] = index
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

-- The score comes as a text: the server would be given one anyway.
function ff.add(index, score, member)
  if index.verb ~= 'ZADD' or index.size + 2 > LIMIT.max_unsettled then
    ff.settle(index)
    index.verb = 'ZADD'
  end
  local size = index.size
  index[size + 1], index[size + 2] = score, member
  index.size = size + 2
end

function ff.remove(index, member)
  if index.verb ~= 'ZREM' or index.size + 1 > LIMIT.max_unsettled then
    ff.settle(index)
    index.verb = 'ZREM'
  end
  local size = index.size + 1
  index[size] = member
  index.size = size
end

-- Adds an entry that is told of when it comes to be the first: somebody may be waiting for it. `number` is the score.
function ff.add_noted(index, score, number, member, note)
  ff.add(index, score, member)
  local lowest = index.new_score
  if not lowest or number < lowest then index.new_score, index.new_member, index.note = number, member, note end
end

-- The first entries, as the server has them once everything is written.
function ff.head_of(index, count)
  ff.settle(index)
  return command('ZRANGE', index.key, 0, count - 1)
end
