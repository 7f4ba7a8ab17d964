-- Entries of indexes that are derived from one record of another kind than executions: budgets, workers, flows, signing
-- keys, and all timers but those of executions. The client knows what they must be from the declarations of the kinds
-- (src/valkey/verify/entries.ts); here an entry is set only while its record is unchanged since the client read it.

local function words_of(list)
  local words = {}
  for word in string.gmatch(list, '[^,]+') do words[#words + 1] = word end
  return words
end

-- Prefix of the keys of a kind, names of fields, ids. Answers for each its fields, and those in the second hash;
-- nothing where the key has another type.
function ff.verify_stored(call, start, field_list, ...)
  local fields, ids, rows = words_of(field_list), { ... }, {}
  for i = 1, #ids do
    local key = call.base .. start .. ids[i]
    local core, details = guarded('HMGET', key, unpack(fields)), guarded('HGETALL', key .. SUFFIX.details)
    rows[i] = not core.err and { core, details.err and {} or details }
  end
  return rows
end

-- An index, its type, a cursor, count. Answers the next cursor, and members and values.
function ff.verify_listed(call, index, kind, from, count)
  if kind == 'hash' then return ff.scan(call, call.base .. index, from, count) end
  local entries = command('ZRANGE', call.base .. index, from, from + count - 1, 'WITHSCORES')
  return { #entries < 2 * count and '0' or ff.digits(from + count), entries }
end

-- An index, its type, a member, its value (`-` for none), and the record that determines it: its key, the names of its
-- fields, and the fields as they were read. Answers 1 when the entry differed.
function ff.verify_entry(call, index, kind, member, value, record, field_list, ...)
  local fields, was = words_of(field_list), { ... }
  local stored = guarded('HMGET', call.base .. record, unpack(fields))
  for i = 1, #fields do
    -- The record changed meanwhile, and its entry with it.
    if (stored[i] or '') ~= was[i] then return 0 end
  end
  local key = call.base .. index
  local now
  if kind == 'hash' then now = command('HGET', key, member) else now = command('ZSCORE', key, member) end
  if (now or '-') == value then return 0 end
  if kind == 'hash' then
    if value == '-' then command('HDEL', key, member) else command('HSET', key, member, value) end
  elseif value == '-' then
    command('ZREM', key, member)
  else
    command('ZADD', key, value, member)
  end
  return 1
end
