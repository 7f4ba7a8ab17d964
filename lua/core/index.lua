-- Sorted sets in the hands of a call. What is added and removed waits, so that commands of one kind write together: one
-- large command is cheaper than many small ones. A read settles first.

-- The index under a key.
function ff.index(call, key)
  local index = call.indexes[key]
  if index then return index end
  index = {
    key = key, gathers = call.gathers, verb = false, size = 0,
    -- Of its first entry before the call; of the lowest that the call added. Whether any has left.
    seen = false, first_score = false, new_score = false, new_note = false, notes = false, has_left = false,
    -- Of a queue.
    lane_id = false, name = false, needs = false,
  }
  call.indexes[key] = index
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

-- The index under a key, after a look at its first entry: the key is what it should be.
function ff.seen_index(call, key)
  local index = ff.index(call, key)
  if not index.seen then
    ff.settle(index)
    index.seen = true
    index.first_score = tonumber(command('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  end
  return index
end

-- The score comes as a text: the server would be given one anyway.
function ff.add(index, score, member)
  if not index.gathers then
    command('ZADD', index.key, score, member)
    return
  end
  if index.verb ~= 'ZADD' or index.size + 2 > LIMIT.max_unsettled then
    ff.settle(index)
    index.verb = 'ZADD'
  end
  local size = index.size
  index[size + 1], index[size + 2] = score, member
  index.size = size + 2
end

function ff.remove(index, member)
  index.has_left = true
  if not index.gathers then
    command('ZREM', index.key, member)
    return
  end
  if index.verb ~= 'ZREM' or index.size + 1 > LIMIT.max_unsettled then
    ff.settle(index)
    index.verb = 'ZREM'
  end
  local size = index.size + 1
  index[size] = member
  index.size = size
end

-- Adds an entry that is told of when it comes to be the first: a worker or a timer loop may wait for it. `number` is the score,
-- `note` what is told. The entry may leave in the same call, and another of the new ones be the first then.
function ff.add_noted(index, score, number, member, note)
  ff.add(index, score, member)
  local lowest = index.new_score
  if not lowest then
    index.notes = { [member] = note }
  else
    index.notes[member] = note
  end
  if not lowest or number < lowest then index.new_score, index.new_note = number, note end
end

-- What is told of the first entry of all, once everything is written, if it is one that the call added.
function ff.note_of_new_first(index)
  local score = index.new_score
  if not score then return nil end
  if not index.has_left then
    local first = index.first_score
    if first and first <= score then return nil end
    return index.new_note
  end
  local head = ff.head_of(index, 1)[1]
  return head and index.notes[head]
end

-- The first entries, as the server has them once everything is written.
function ff.head_of(index, count)
  ff.settle(index)
  return command('ZRANGE', index.key, 0, count - 1)
end
