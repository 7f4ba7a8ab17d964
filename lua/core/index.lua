-- Sorted sets in hand. Additions and removals are gathered, so that one large command replaces many small ones, which
-- is cheaper. A read settles them first.

-- Tables of earlier calls, which are reused for indexes.
local pool = {}
local indexes, count = {}, 0

-- A call starts without indexes. The tables of a call with very many are not kept.
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

-- From now on writes to indexes are gathered.
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
  -- The score of its first entry before the call: nil while unread, false if there was none. Whether an entry was
  -- removed.
  index.first_score, index.has_left = nil, false
  -- The lowest score that the call added; `new_member` is the entry, where it is known, and `new_note` its note for
  -- announcements.
  index.new_score = false
  -- For a queue, see lua/schedule/queue.lua; `stays`: whether it is known to keep entries.
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

-- The index under a key after a read of its first entry, which checks the type of the key.
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

-- Removes some entries, at most as many as a command takes.
function ff.remove_many(index, members)
  ff.settle(index)
  index.has_left, index.stays = true, false
  command('ZREM', index.key, unpack(members))
end

-- Adds entries of which only the first, with the score `number`, can be announced. `entries` are scores and members,
-- `size` their number. The server searches a short sorted set from its start, and entries of one call mostly have one
-- score and ascending members: so the last of them comes first, and each other one goes before it.
function ff.add_many(index, entries, size, number, note)
  ff.settle(index)
  command('ZADD', index.key, unpack(entries, 1, size))
  local lowest = index.new_score
  if not lowest or number < lowest then index.new_score, index.new_member, index.new_note = number, false, note end
end

-- Removes the first entries, those that `ff.head_of` answered, before any other write.
function ff.remove_head(index, size)
  index.has_left, index.stays = true, false
  command('ZREMRANGEBYRANK', index.key, 0, size - 1)
end

-- Adds an entry that is announced if it becomes the first: a worker or a timer loop may wait for it. `score` is a text,
-- as the command needs one, and `number` the same; `note` is the content of the announcement.
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
  if not lowest or number < lowest then index.new_score, index.new_member, index.new_note = number, member, note end
end

-- The note of the first entry after everything is written, if the call added an entry that no other precedes. The
-- lowest added entry may have been removed since, and another one of its score be the first: then only the id and the
-- score of that one are known.
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
  return score == lowest and head[1] == index.new_member and index.new_note, head[1], head[2]
end

-- The first entries, as the server has them after all writes.
function ff.head_of(index, limit)
  ff.settle(index)
  return command('ZRANGE', index.key, '0', limit - 1)
end
