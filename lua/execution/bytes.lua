-- Inputs, results and values of steps: bytes of callers that are returned unchanged. They are two arguments, place and text: `=` and the
-- bytes; or, for long ones, the name under which they were staged beside the call, because Lua would hash every byte,
-- and their length; or both empty when absent.

-- Whether bytes were staged beside the call. Most are in it, so a caller asks before it names their key.
function ff.is_staged(place)
  return place ~= '' and place ~= LIMIT.bytes_here
end

local function staged_key(key, place)
  return key .. LIMIT.staged_separator .. place
end

-- Whether staged bytes are missing: the caller then sends them with the command.
function ff.lacks_bytes(key, place, text)
  return ff.is_staged(place) and command('STRLEN', staged_key(key, place)) ~= tonumber(text)
end

function ff.count_bytes(place, text)
  if place == LIMIT.bytes_here then return #text end
  return tonumber(text) or 0
end

-- The number of bytes as a text; empty when they are absent.
function ff.size_of_bytes(place, text)
  return place ~= '' and ff.digits(ff.count_bytes(place, text)) or ''
end

-- Stores bytes in a key of their own, named by two texts. Bytes that are short enough for the record are answered
-- instead.
function ff.keep_bytes(key, suffix, place, text)
  if place == LIMIT.bytes_here then
    if #text <= LIMIT.max_field_bytes and text ~= LIMIT.spilled then return text end
    command('SET', key .. suffix, text)
    return LIMIT.spilled
  end
  ff.adopt_bytes(key .. suffix, place, key .. suffix)
  return LIMIT.spilled
end

-- Takes over staged bytes under another key.
function ff.adopt_bytes(key, place, own)
  command('RENAME', staged_key(key, place), own)
  command('PERSIST', own)
end

-- The bytes of a command, which are there.
function ff.bytes_of(key, place, text)
  return ff.is_staged(place) and command('GET', staged_key(key, place)) or text
end

-- Removes staged bytes that are not needed. Bytes without a command expire.
function ff.discard_bytes(key, place)
  if ff.is_staged(place) then command('UNLINK', staged_key(key, place)) end
end

-- Stores the result of an execution that has a fence: a short one needs no key.
function ff.keep_result(execution, place, text)
  if place == LIMIT.bytes_here and #text <= LIMIT.max_field_bytes and text ~= LIMIT.spilled then return text end
  return ff.keep_bytes(ff.result_key(execution), '', place, text)
end

-- The key of the result of an execution that has a fence.
function ff.result_key(execution)
  return execution.key .. SUFFIX.result .. string.sub(execution.fence, -LIMIT.id_length)
end
