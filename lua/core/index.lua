-- Sorted sets in the hands of a call. What is added and removed waits, so that commands of one kind write together: one
-- large command is cheaper than many small ones. A read settles first.

-- Tables of calls before this one, which its indexes take.
local pool = {}
local indexes, count = {}, 0

-- A call begins with none. What a call of very many indexes has left is not kept.
function ff.no_indexes()
  if count > LIMIT.kept_indexes then
    indexes = {}
  else
    for key in pairs(indexes) do indexes[key] = nil end
  end
  count = 0
  return indexes
end

local function new_index()
  count = count + 1
  local index = pool[count]
  if index then return index end
  index = {}
  if count <= LIMIT.kept_indexes then pool[count] = index end
  return index
end

-- From now on what is written to indexes waits for more of its kind.
function ff.gather(call)
  if call.gathers then return end
  call.gathers = true
  for _, index in pairs(call.indexes) do index.gathers = true end
end

-- The index under a key.
function ff.index(call, key)
  local index = call.indexes[key]
  if index then return index end
  index = new_index()
  index.key, index.gathers, index.size = key, call.gathers, 0
  -- Of its first entry before the call: nil while that was not looked at, false where there was none. Whether any has left.
  index.first_score, index.has_left = nil, false
  -- The lowest score that the call added; `new_note` is what is to be told of it.
  index.new_score = false
  -- Of a queue, see lua/schedule/queue.lua. Whether it is known to have something left.
  index.lane_id, index.stays = false, false
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
  if index.first_score == nil then
    ff.settle(index)
    index.first_score = tonumber(command('ZRANGE', key, '0', '0', 'WITHSCORES')[2]) or false
  end
  return index
end

function ff.remove(index, member)
  index.has_left, index.stays = true, false
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

-- Adds entries of which the first alone is told: its score is `number`. `entries` are scores and members, `size` of both.
function ff.add_many(index, entries, size, number, note)
  ff.settle(index)
  command('ZADD', index.key, unpack(entries, 1, size))
  local lowest = index.new_score
  if not lowest or number < lowest then index.new_score, index.new_note = number, note end
end

-- Removes the first entries of all: those that `ff.head_of` answered, before anything else is written.
function ff.remove_head(index, size)
  index.has_left, index.stays = true, false
  command('ZREMRANGEBYRANK', index.key, 0, size - 1)
end

-- Adds an entry that is told of when it comes to be the first: a worker or a timer loop may wait for it. `score` is a text,
-- since the server would be given one anyway, and `number` the same; `note` is what is told.
function ff.add_noted(index, score, number, member, note)
  if index.gathers then
    local size = index.size
    if index.verb ~= 'ZADD' or size + 2 > LIMIT.max_unsettled then
      ff.settle(index)
      index.verb, size = 'ZADD', 0
    end
    index[size + 1], index[size + 2] = score, member
    index.size = size + 2
  else
    command('ZADD', index.key, score, member)
  end
  local lowest = index.new_score
  if not lowest or number < lowest then index.new_score, index.new_note = number, note end
end

-- What is told of the first entry of all, once everything is written, if the call added one that no other comes before. The
-- lowest that it added may have left since: then nothing is known of what is first now but its id and its score.
function ff.new_first(index)
  local lowest = index.new_score
  if not index.has_left then
    local first = index.first_score
    if first and first <= lowest then return nil end
    return index.new_note
  end
  local head = command('ZRANGE', index.key, '0', '0', 'WITHSCORES')
  local score = tonumber(head[2])
  if not score or score < lowest then return nil end
  return score == lowest and index.new_note, head[1], head[2]
end

-- The first entries, as the server has them once everything is written.
function ff.head_of(index, limit)
  ff.settle(index)
  return command('ZRANGE', index.key, '0', limit - 1)
end
