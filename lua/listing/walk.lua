-- Walks several sorted sets in parallel, in the order of (score, id). Callers bound how many entries a call examines: a
-- set is read a few entries at a time, from any position.

local AT_ONCE = 64

-- Number of entries of a set up to and including a position. Many entries can have the same score.
function ff.rank_behind(key, score, member)
  local text = ff.digits(score)
  local low = command('ZCOUNT', key, '-inf', '(' .. text)
  local high = low + command('ZCOUNT', key, text, text)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = command('ZRANGE', key, middle, middle)[1]
    if found and ff.is_before(member, found) then high = middle else low = middle + 1 end
  end
  return low
end

local function fill(source)
  local entries = command('ZRANGE', source.key, source.rank, source.rank + AT_ONCE - 1, 'WITHSCORES')
  source.entries, source.at, source.rank = entries, 1, source.rank + AT_ONCE
  source.ended = #entries < 2 * AT_ONCE
end

-- The next entry of a set, as its id and its score in the list; nothing at the end. Members of other kinds are skipped.
local function head_of(source)
  while true do
    if not source.entries or source.at > #source.entries then
      if source.ended then return nil end
      fill(source)
    end
    local member = source.entries[source.at]
    if not member then return nil end
    local score = tonumber(source.entries[source.at + 1])
    if score > source.to then return nil end
    local size = #source.prefix
    if string.sub(member, 1, size) == source.prefix then
      return string.sub(member, size + 1), score - source.offset
    end
    source.at = source.at + 2
  end
end

-- Walks sets `{ key, from, to, offset, prefix }`: the range of scores, the difference between a score in the set and in
-- the list, and the prefix of members. The walk starts after the position `score` and `id`, if given. Answers a
-- function that answers the next id, its score and its set.
function ff.walk(sources, score, id)
  for i = 1, #sources do
    local source = sources[i]
    if score and score + source.offset >= source.from then
      source.rank = ff.rank_behind(source.key, score + source.offset, source.prefix .. id)
    else
      source.rank = command('ZCOUNT', source.key, '-inf', '(' .. ff.digits(source.from))
    end
  end
  return function()
    local best, best_id, best_score
    for i = 1, #sources do
      local next_id, next_score = head_of(sources[i])
      if next_id and (not best or next_score < best_score or next_score == best_score and ff.is_before(next_id, best_id)) then
        best, best_id, best_score = sources[i], next_id, next_score
      end
    end
    if best then best.at = best.at + 2 end
    return best_id, best_score, best
  end
end

-- The names of all queues of a lane with work.
function ff.queue_names(call, lane_id)
  local names, metered = command('SMEMBERS', call.base .. KEY.queues .. lane_id), ff.metered_names(call, lane_id)
  for i = 1, #metered do names[#names + 1] = metered[i] end
  return names
end

-- One page of a walk. `wanted(id, source)` answers the row of an entry, or nothing when it does not match; `add(rows,
-- id, row, at)` writes a row. An unreadable entry has no row: the quarantine shows it. Answers the position after which
-- the list continues, or false at its end, and the rows.
function ff.page(next_one, limit_text, wanted, add)
  local limit, rows, count, looked_at, bytes, last = tonumber(limit_text), {}, 0, 0, 0, nil
  while true do
    if bytes > LIMIT.max_page_bytes then return { last, rows } end
    local id, at, source = next_one()
    if not id then return { false, rows } end
    if looked_at == LIMIT.max_looked_at then return { last, rows } end
    looked_at = looked_at + 1
    local ran, row = pcall(wanted, id, source)
    if not ran then
      ff.contain(row)
      row = nil
    end
    if row and count == limit then return { last, rows } end
    if row then
      add(rows, id, row, at)
      count = count + 1
      bytes = bytes + #(row.tags or '')
    end
    if row or count < limit then last = { ff.digits(at), id } end
  end
end
