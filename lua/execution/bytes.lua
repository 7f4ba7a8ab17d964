-- Inputs and results: bytes of the caller that are given back as they are. They come as two arguments, where they are
-- and a text: `=` and the bytes; or, when they are long, the name under which they were staged beside the call, for
-- Lua would hash every one of them, and how many they are; or nothing, twice.

local function is_staged(place)
  return place ~= '' and place ~= LIMIT.bytes_here
end

local function staged_key(key, place)
  return key .. LIMIT.staged_separator .. place
end

-- Whether bytes that should have been staged are not: the caller has to send them with the command.
function ff.lacks_bytes(key, place, text)
  return is_staged(place) and command('STRLEN', staged_key(key, place)) ~= tonumber(text)
end

function ff.count_bytes(place, text)
  if place == LIMIT.bytes_here then return #text end
  return tonumber(text) or 0
end

-- Keeps bytes in a key of their own, which is named by two texts, unless they are so short that they go into the record:
-- answers them then.
function ff.keep_bytes(key, suffix, place, text)
  if place == LIMIT.bytes_here then
    if #text <= LIMIT.max_field_bytes and text ~= LIMIT.spilled then return text end
    command('SET', key .. suffix, text)
    return LIMIT.spilled
  end
  local own = key .. suffix
  command('RENAME', staged_key(own, place), own)
  command('PERSIST', own)
  return LIMIT.spilled
end

-- Staged bytes that nobody needs. Those that no command came for expire.
function ff.discard_bytes(key, place)
  if is_staged(place) then command('UNLINK', staged_key(key, place)) end
end

-- Keeps the result of an execution that has a fence: a short one needs no key.
function ff.keep_result(execution, place, text)
  if place == LIMIT.bytes_here and #text <= LIMIT.max_field_bytes and text ~= LIMIT.spilled then return text end
  return ff.keep_bytes(ff.result_key(execution), '', place, text)
end

-- The key of the result of an execution that has a fence.
function ff.result_key(execution)
  local attempt = string.match(execution.fence, '\t([^\t]*)$')
  return execution.key .. SUFFIX.result .. (attempt or '')
end
