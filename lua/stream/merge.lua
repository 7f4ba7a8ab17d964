-- Merges a JSON patch into a document; the twin of model/stream/merge-patch.ts. Both are canonical texts: values other
-- than objects are copied unchanged, so no number and no string is ever parsed or written.

local SENTINEL = '"__ff_null__"'

local function not_canonical()
  error({ err = 'DAMAGED the patch or the document is not canonical' })
end

-- The index after a string.
local function string_end(text, at)
  at = at + 1
  while true do
    at = string.find(text, '["\\]', at) or not_canonical()
    if string.byte(text, at) == 34 then return at + 1 end
    at = at + 2
  end
end

-- The index after an array.
local function array_end(text, at)
  local depth = 0
  while true do
    at = string.find(text, '["%[%]]', at) or not_canonical()
    local byte = string.byte(text, at)
    if byte == 34 then
      at = string_end(text, at)
    else
      depth = depth + (byte == 91 and 1 or -1)
      at = at + 1
      if depth == 0 then return at end
    end
  end
end

local ESCAPES = { b = '\b', f = '\f', n = '\n', r = '\r', t = '\t', ['"'] = '"', ['\\'] = '\\' }

-- The decoded key of a quoted text: keys are ordered by their bytes, not by those of their escapes.
local function key_of(text)
  if not string.find(text, '\\', 1, true) then return text end
  text = string.gsub(text, '\\(u?)(.)(%x?%x?%x?)', function(is_unicode, first, rest)
    if is_unicode == '' then return (ESCAPES[first] or first) .. rest end
    return string.char(tonumber(first .. rest, 16))
  end)
  return text
end

local parse_object

-- Parses the value at an index: its members, or its text; and the index after it.
local function parse_value(text, at)
  local byte = string.byte(text, at)
  if byte == 123 then return parse_object(text, at) end
  local behind
  if byte == 34 then
    behind = string_end(text, at)
  elseif byte == 91 then
    behind = array_end(text, at)
  else
    behind = string.find(text, '[,}]', at) or not_canonical()
  end
  return string.sub(text, at, behind - 1), behind
end

-- Parses the object at an index: keys, their texts and their values, in order; and the index after it.
function parse_object(text, at)
  local members = { keys = {}, quoted = {}, values = {}, size = 0 }
  at = at + 1
  if string.byte(text, at) == 125 then return members, at + 1 end
  while true do
    if string.byte(text, at) ~= 34 then not_canonical() end
    local behind = string_end(text, at)
    local size = members.size + 1
    members.size = size
    members.quoted[size] = string.sub(text, at, behind - 1)
    members.keys[size] = key_of(string.sub(text, at + 1, behind - 2))
    if string.byte(text, behind) ~= 58 then not_canonical() end
    if size > 1 and not ff.is_before(members.keys[size - 1], members.keys[size]) then not_canonical() end
    members.values[size], at = parse_value(text, behind + 1)
    local byte = string.byte(text, at)
    at = at + 1
    if byte == 125 then return members, at end
    if byte ~= 44 then not_canonical() end
  end
end

local function parse(text)
  if string.byte(text, 1) ~= 123 then not_canonical() end
  local members, behind = parse_object(text, 1)
  if behind ~= #text + 1 then not_canonical() end
  return members
end

local EMPTY = { keys = {}, quoted = {}, values = {}, size = 0 }

local function is_object(value)
  return type(value) == 'table'
end

local function add(members, key, quoted, value)
  local size = members.size + 1
  members.size = size
  members.keys[size], members.quoted[size], members.values[size] = key, quoted, value
end

-- The members of a document after a patch.
local function merge(document, patch)
  local result = { keys = {}, quoted = {}, values = {}, size = 0 }
  local at = 1
  for i = 1, patch.size do
    local key, value = patch.keys[i], patch.values[i]
    while at <= document.size and ff.is_before(document.keys[at], key) do
      add(result, document.keys[at], document.quoted[at], document.values[at])
      at = at + 1
    end
    local known
    if at <= document.size and document.keys[at] == key then
      known = document.values[at]
      at = at + 1
    end
    if is_object(value) then
      add(result, key, patch.quoted[i], merge(is_object(known) and known or EMPTY, value))
    elseif value ~= 'null' then
      add(result, key, patch.quoted[i], value == SENTINEL and 'null' or value)
    end
  end
  for i = at, document.size do add(result, document.keys[i], document.quoted[i], document.values[i]) end
  return result
end

-- Writes the text of an object in pieces; answers their number, and the most members of any of its objects.
local function write(members, pieces, count)
  local widest = members.size
  pieces[count + 1] = '{'
  count = count + 1
  for i = 1, members.size do
    pieces[count + 1], pieces[count + 2] = i > 1 and ',' or '', members.quoted[i]
    pieces[count + 3] = ':'
    count = count + 3
    local value = members.values[i]
    if is_object(value) then
      local inner
      count, inner = write(value, pieces, count)
      if inner > widest then widest = inner end
    else
      count = count + 1
      pieces[count] = value
    end
  end
  count = count + 1
  pieces[count] = '}'
  return count, widest
end

-- The document after a patch, and the most members of any of its objects.
function ff.merge_patch(document, patch)
  local pieces = {}
  local _, widest = write(merge(parse(document), parse(patch)), pieces, 0)
  return table.concat(pieces), widest
end
