-- Results of upstreams for an execution that is claimed; the twin of model/flow/given.ts.

local COMPLETED = '^' .. SITUATION.completed .. '\t.?\t%d*\t%d*\t%d*\t%d*\t%a*$'
local ENDING = '^[^\t]*\t(%d*)\t([^\t]*)'

-- The life of an upstream that has completed, and the ending with its size and its encoding: those read last, because
-- upstreams that ended together have the same.
local known_life, known_ending, known_bytes, known_encoding

-- The size and the encoding of the result of an upstream, and its key with the result as the record has it. Nothing
-- when it has not completed.
local function read_upstream(call, id)
  local key = call.base .. id
  local values = attempted('HMGET', key, FIELD.life, FIELD.ending, FIELD.result)
  if values.err then ff.no_hash(values) end
  local life, ending = values[1], values[2] or ''
  if life ~= known_life then
    if not life or not string.find(life, COMPLETED) then return nil end
    known_life = life
  end
  if ending == LIMIT.spilled then ending = ff.spilled(key, FIELD.ending) end
  if ending ~= known_ending then
    local bytes, encoding = string.match(ending, ENDING)
    if not bytes then bytes, encoding = string.match(ending .. '\t\t', ENDING) end
    if not bytes then ff.damaged('ending is unreadable') end
    known_ending, known_bytes, known_encoding = ending, bytes, encoding
  end
  return known_bytes, known_encoding, key, values[3]
end

-- The stored result of an upstream; a long one is under the key of its attempt.
local function result_of(key, stored)
  if stored == LIMIT.spilled then
    local fence = guarded('HGET', key, FIELD.fence)
    stored = guarded('GET', ff.result_key({ key = key, fence = type(fence) == 'string' and fence or '' }))
  end
  return type(stored) == 'string' and stored or nil
end

-- What an edge passes: a heading of its id, its label and the encoding, and the result, `false` if there is none. Only
-- `false` if there is no room for the result, or it does not exist. Nothing when the edge passes no data.
local function given_by(call, room, id, text)
  local upstream, ref = ff.giver_of(text)
  if not upstream then return nil end
  local ran, bytes, encoding, key, stored = pcall(read_upstream, call, upstream)
  -- Damage of another record is reported when that record is used.
  if not ran then ff.contain(bytes) end
  if not ran or not bytes then return false end
  local size = ff.count(bytes)
  if size > room.bytes then return false end
  local result = bytes ~= '' and result_of(key, stored)
  if bytes ~= '' and not result then return false end
  room.bytes = room.bytes - size
  return id .. '\t' .. ref .. '\t' .. encoding, result
end

function ff.room_of_claim()
  return {
    bytes = LIMIT.max_result_bytes_per_claim, edges = LIMIT.max_result_edges_per_claim,
    earlier_bytes = LIMIT.max_carried_bytes_per_claim, earlier_parts = LIMIT.max_carried_per_claim,
  }
end

-- The results that upstreams pass to an execution: their headings, and the results; nil without dependencies.
-- `is_more`: there are more. Takes the bytes that it uses from the room.
function ff.given_to(call, execution, room)
  if not string.find(execution.extras, FIELD.group, 1, true) then return nil end
  local key = execution.key .. SUFFIX.dependencies
  local count = guarded('HLEN', key)
  if type(count) == 'table' then ff.no_hash(count) end
  if count > room.edges then return { count = 0, is_more = true } end
  room.edges = room.edges - count
  local pairs_of, texts, ids = command('HGETALL', key), {}, {}
  for i = 1, count do
    local id = pairs_of[2 * i - 1]
    ids[i], texts[id] = id, pairs_of[2 * i]
  end
  ff.sort(ids)
  local given, headings, taken = { is_more = false }, {}, 0
  for i = 1, count do
    local heading, result = given_by(call, room, ids[i], texts[ids[i]])
    if heading then
      taken = taken + 1
      headings[taken], given[taken] = heading, result
    elseif heading == false then
      given.is_more = true
    end
  end
  given.count, given.headings = taken, table.concat(headings, '\n')
  return given
end

-- Adds the results to the row of a claim: their number, whether there are more, their headings, and themselves. Answers
-- the new length of the reply.
function ff.tell_given(reply, size, given)
  if not given then
    reply[size + 1] = ''
    return size + 1
  end
  local count = given.count
  reply[size + 1], reply[size + 2] = count, given.is_more and '1' or ''
  if count == 0 then return size + 2 end
  reply[size + 3] = given.headings
  for i = 1, count do reply[size + 3 + i] = given[i] end
  return size + 3 + count
end
