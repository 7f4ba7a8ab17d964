-- Reading and writing the record of an execution. A field of its core hash is a facet, or a fact that can be long; the
-- names of both are those of model/execution/facts.ts. What does not fit stands in the second hash (lua/layout.ts).

-- A list of fields to load, made once per operation when the library is loaded. The first one is always `life`.
function ff.fields(...)
  local names = { 'life', ... }
  local fields = { names = names }
  for i = 1, #names do fields[i] = FIELD_NAMED[names[i]] end
  return fields
end

-- A value that does not fit into the core.
function ff.spilled(key, field)
  return command('HGET', key .. SUFFIX.details, field) or ff.damaged(field .. ' is missing')
end

-- Loads facets and facts of an execution, or nil when it does not exist. `life` is read at once; other facets are texts,
-- until `ff.read_<facet>` reads them.
function ff.load(call, id, fields)
  local key = call.base .. id
  local values = command('HMGET', key, unpack(fields))
  local life = values[1]
  if not life then
    if command('EXISTS', key) == 0 then return nil end
    ff.damaged('life is missing')
  end
  local execution = { id = id, key = key, life = life }
  ff.read_life(execution)
  if not PHASE[execution.situation] then ff.damaged('the situation is unknown') end
  local names = fields.names
  for i = 2, #names do
    local value = values[i] or ''
    -- A long input has a key of its own.
    if value == LIMIT.spilled and fields[i] ~= FIELD.input then value = ff.spilled(key, fields[i]) end
    execution[names[i]] = value
  end
  return execution
end

-- What stands in the core for a value: itself, or, when it is too long, a sign that it is in the second hash. Facts that
-- are given as they are can look like the sign.
function ff.fit(key, field, value)
  if #value <= LIMIT.max_field_bytes and value ~= LIMIT.spilled then return value end
  command('HSET', key .. SUFFIX.details, field, value)
  return LIMIT.spilled
end

-- A number that can be counted on, of a text that may be empty.
function ff.count(text)
  if text == '' then return 0 end
  return tonumber(text) or ff.damaged('a number is none')
end

-- A time, or nil when there is none.
function ff.time(text)
  if text == '' then return nil end
  return tonumber(text) or ff.damaged('a time is none')
end

-- The text of a number that may be nil.
function ff.text_of(number)
  return number and ff.digits(number) or ''
end
