-- Reads. Each answers plain values; the reads of model/ interpret them.

-- The bytes under a key, or their number and the key when they are long: the client fetches those part by part.
local function bytes_under(key)
  local bytes = command('STRLEN', key)
  if bytes > LIMIT.max_claimed_input_bytes then return { bytes, key } end
  return command('GET', key)
end

-- read_execution: execution_id, with_input, with_result. Answers core pairs, detail pairs, a list of input and result; empty lists
-- when the execution does not exist.
function ff.query.read_execution(call, execution_id, with_input, with_result)
  local key = call.base .. execution_id
  local input, result = false, false
  if with_input == '1' then
    input = command('HGET', key, FIELD.input)
    if input == LIMIT.spilled then input = bytes_under(key .. SUFFIX.input) end
  end
  if with_result == '1' then
    result = command('HGET', key, FIELD.result)
    if result == LIMIT.spilled then
      result = bytes_under(ff.result_key({ key = key, fence = command('HGET', key, FIELD.fence) or '' }))
    end
  end
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details), { input, result } }
end

-- list_executions: after? (an id), limit
-- Answers ids.
function ff.query.list_executions(call, after, limit_text)
  local limit = tonumber(limit_text)
  local names = call.base .. KEY.ids
  local from = after ~= '' and command('ZREVRANGEBYLEX', names, '[' .. after, '-', 'LIMIT', 0, 1)[1]
  local leaves = command('ZRANGEBYLEX', names, from and '[' .. from or '-', '+', 'LIMIT', 0, limit + 1)
  local ids = {}
  for i = 1, #leaves do
    local leaf = command('LRANGE', call.base .. KEY.leaf .. leaves[i], 0, -1)
    ff.sort(leaf)
    for j = 1, #leaf do
      if ff.is_before(after, leaf[j]) then ids[#ids + 1] = leaf[j] end
      if #ids == limit then return ids end
    end
  end
  return ids
end

-- list_lanes: after (a lane, or nothing), limit
function ff.query.list_lanes(call, after, limit)
  return ff.lanes_after(call, after, limit)
end

-- Adds lane, name and priority of a queue that has an entry; returns whether it has one.
function ff.add_queue_head(call, heads, lane_id, name)
  local id = command('ZRANGE', call.base .. KEY.queue .. lane_id .. '\t' .. name, 0, 0)[1]
  if not id then return false end
  -- An unreadable record has no priority; a claim will set it aside.
  local given = guarded('HGET', call.base .. id, FIELD.given)
  local priority = type(given) == 'string' and string.match(given, '^%d+') or ''
  heads[#heads + 1], heads[#heads + 2], heads[#heads + 3] = lane_id, name, priority
  return true
end

-- list_queue_heads: lane ids
-- Answers lane, name and priority of each queue that has work.
function ff.query.list_queue_heads(call, ...)
  local heads = {}
  for i = 1, select('#', ...) do
    local lane_id = select(i, ...)
    local names = ff.is_silent(call, lane_id) and {} or command('SMEMBERS', call.base .. KEY.queues .. lane_id)
    for j = 1, #names do ff.add_queue_head(call, heads, lane_id, names[j]) end
  end
  return heads
end

-- The entries of the log after a position: at most `limit`, and fewer when they are long. A reader asks for its own entry
-- too, so there are at least two.
local function entries_after(call, after, limit)
  local entries, bytes, from = {}, 0, '(' .. after .. '-18446744073709551615'
  while true do
    local count = math.min(LIMIT.entries_at_once, limit - #entries)
    local some = command('XRANGE', call.log_key, from, '+', 'COUNT', count)
    for i = 1, #some do
      local texts = some[i][2]
      for j = 1, #texts do bytes = bytes + #texts[j] end
      entries[#entries + 1] = some[i]
      if bytes > LIMIT.max_page_bytes and entries[2] then return entries end
    end
    if #some < count or #entries == limit then return entries end
    from = '(' .. some[count][1]
  end
end

-- read_log: after, limit. Answers the entries after the position, and the header: generation, position and time of the
-- newest entry.
function ff.query.read_log(call, after, limit)
  return {
    entries_after(call, after, tonumber(limit)),
    call.generation, ff.digits(call.sequence), ff.digits(call.time),
  }
end

-- read_counts: after (a lane, or nothing), limit
-- Answers lanes in order, each with its counts as names and values, or false when they are unreadable.
function ff.query.read_counts(call, after, limit)
  local lanes, answer = ff.lanes_after(call, after, limit), {}
  for i = 1, #lanes do answer[i] = { lanes[i], ff.listed_hash(call.base .. KEY.counts .. lanes[i]) } end
  return answer
end

-- Everything that is stored of an execution: id, its two hashes, its waits, its dependencies, the totals of its steps.
-- Keys of another type are false.
local function whole_row(call, id)
  local key = call.base .. id
  local waits, dependencies = ff.listed_hash(key .. SUFFIX.waits), ff.listed_hash(key .. SUFFIX.dependencies)
  local steps = guarded('HGET', key .. SUFFIX.steps, STEP.totals)
  local details, texts = ff.listed_hash(key .. SUFFIX.details), #(waits or '') + #(dependencies or '')
  -- A few long ones count as many.
  for i = 2, #(details or ''), 2 do texts = texts + #details[i] * LIMIT.max_snapshot_texts / LIMIT.max_page_bytes end
  return { id, ff.listed_hash(key), details, waits, dependencies, type(steps) == 'string' and steps }, texts
end

-- Complete executions: rows, and the id after which more may follow. Large data beside some of them ends the page
-- early.
local function whole_executions(call, after, limit)
  local ids, rows, beside = ff.query.list_executions(call, after, limit + 1), {}, 0
  for i = 1, math.min(limit, #ids) do
    local texts
    rows[i], texts = whole_row(call, ids[i])
    beside = beside + texts
    if beside > LIMIT.max_snapshot_texts then break end
  end
  return rows, #rows < #ids and ids[#rows] or false
end

-- read_snapshot: kind (flow or execution), after?, limit
-- Answers rows, the id behind which more may follow, and the header as read_log does.
function ff.query.read_snapshot(call, kind, after, limit_text)
  local limit = tonumber(limit_text)
  local rows, last
  if kind == 'flow' then rows, last = ff.query.list_flows(call, after, limit + 1), false
  else rows, last = whole_executions(call, after, limit) end
  return { rows, last, call.generation, ff.digits(call.sequence), ff.digits(call.time) }
end
