-- Reading and writing the record of an execution. A field of its core hash is a facet, or a fact that can be long; the
-- names of both are those of model/execution/facts.ts. Values that are too long for the core are in the second hash
-- (lua/layout.ts).

-- `ff.loader('naming', ...)` is a function of a call and an id, which the linker generates (lua/loader.ts). It answers
-- an execution with `life` read and the named facets and facts as texts, or nil when it does not exist.

-- A value that is in the second hash.
function ff.spilled(key, field)
  local value = guarded('HGET', key .. SUFFIX.details, field)
  if type(value) ~= 'string' then ff.damaged('a long value is missing') end
  return value
end

-- Checks that an extra that `life` names is present.
function ff.found_extra(key, field, value)
  if not value then ff.damaged(field .. ' is missing') end
  if value == LIMIT.spilled then return ff.spilled(key, field) end
  return value
end

-- The value of an extra; empty without a command when `life` does not name it.
function ff.load_extra(key, extras, field)
  if not string.find(extras, field, 1, true) then return '' end
  return ff.found_extra(key, field, command('HGET', key, field))
end

-- The fields among `wanted` that the extras name, and for each of `wanted` its position in an answer after `before`
-- other fields; false if it is not named.
function ff.places_of_extras(extras, wanted, before)
  local fields, places = {}, {}
  for i = 1, #wanted do
    local field = string.sub(wanted, i, i)
    local is_there = string.find(extras, field, 1, true) ~= nil
    if is_there then fields[#fields + 1] = field end
    places[i] = is_there and before + #fields
  end
  return fields, places
end

-- The extras of an execution with one more.
function ff.note_extra(execution, field)
  local extras = execution.extras
  if not string.find(extras, field, 1, true) then execution.extras = extras .. field end
end

-- The extras of an execution without one of them.
function ff.drop_extra(execution, field)
  local extras = execution.extras
  local at = string.find(extras, field, 1, true)
  execution.extras = string.sub(extras, 1, at - 1) .. string.sub(extras, at + 1)
end

-- Distinguishes a missing record from one whose most important facet is lost.
function ff.no_record(key, facet)
  if command('EXISTS', key) == 0 then return nil end
  ff.damaged(facet .. ' is missing')
end

-- The text in the core for a value: the value itself, or, if it is too long, a mark that it is in the second hash. Free
-- texts can look like the mark.
function ff.fit(key, field, value)
  if #value <= LIMIT.max_field_bytes and value ~= LIMIT.spilled then return value end
  local details = key .. SUFFIX.details
  local written = guarded('HSET', details, field, value)
  if type(written) == 'table' then
    -- A foreign key stands in the place of the second hash, whose values are lost.
    command('DEL', details)
    command('HSET', details, field, value)
  end
  return LIMIT.spilled
end

-- The number of a text; 0 when empty.
function ff.count(text)
  if text == '' then return 0 end
  return tonumber(text) or ff.damaged('a number is none')
end

-- The time of a text; nil when empty.
function ff.time(text)
  if text == '' then return nil end
  return tonumber(text) or ff.damaged('a time is none')
end

-- The text of a number; empty for nil.
function ff.text_of(number)
  return number and ff.digits(number) or ''
end
