-- Reading and writing the record of an execution. A field of its core hash is a facet, or a fact that can be long; the
-- names of both are those of model/execution/facts.ts. What does not fit stands in the second hash (lua/layout.ts).

-- `ff.loader('naming', ...)` is a function of a call and an id, written out by the linker (lua/loader.ts). It answers an
-- execution with `life` read and the named facets and facts as texts, or nil when there is none.

-- A value that does not fit into the core.
function ff.spilled(key, field)
  local value = guarded('HGET', key .. SUFFIX.details, field)
  if type(value) ~= 'string' then ff.damaged('a long value is missing') end
  return value
end

-- An extra that was looked for and must be there.
function ff.found_extra(key, field, value)
  if not value then ff.damaged(field .. ' is missing') end
  if value == LIMIT.spilled then return ff.spilled(key, field) end
  return value
end

-- The value of an extra; the empty text when there is none, which costs no look.
function ff.load_extra(key, extras, field)
  if not string.find(extras, field, 1, true) then return '' end
  return ff.found_extra(key, field, command('HGET', key, field))
end

-- Those of the fields `wanted` that extras name, and the place of each of `wanted` in an answer that has them behind `before`
-- others; false where it is not among them.
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

-- The extras of an execution, and one more.
function ff.note_extra(execution, field)
  local extras = execution.extras
  if not string.find(extras, field, 1, true) then execution.extras = extras .. field end
end

-- The extras of an execution without one that is there.
function ff.drop_extra(execution, field)
  local extras = execution.extras
  local at = string.find(extras, field, 1, true)
  execution.extras = string.sub(extras, 1, at - 1) .. string.sub(extras, at + 1)
end

-- There is no record: or one of which the most important facet is lost.
function ff.no_record(key, facet)
  if command('EXISTS', key) == 0 then return nil end
  ff.damaged(facet .. ' is missing')
end

-- What stands in the core for a value: itself, or, when it is too long, a sign that it is in the second hash. Facts that
-- are given as they are can look like the sign.
function ff.fit(key, field, value)
  if #value <= LIMIT.max_field_bytes and value ~= LIMIT.spilled then return value end
  local details = key .. SUFFIX.details
  local written = guarded('HSET', details, field, value)
  if type(written) == 'table' then
    -- Something else stands where only ours can stand, and what did is lost.
    command('DEL', details)
    command('HSET', details, field, value)
  end
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
