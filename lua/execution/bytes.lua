-- Payloads and results: bytes of the caller that are given back as they are. They come as two arguments, where they are
-- and a text: `=` and the bytes; or, when they are long, the name under which they were staged beside the call, for
-- Lua would hash every one of them, and how many they are; or nothing, twice.

local function is_staged(place)
  return place and place ~= '' and place ~= X.here
end

local function staged_key(execution_key, suffix, place)
  return execution_key .. suffix .. X.separator .. place
end

function ff.has_bytes(place)
  return place ~= nil and place ~= ''
end

-- Whether bytes that should have been staged are not: the caller has to send them with the command.
function ff.lacks_bytes(execution_key, suffix, place, text)
  return is_staged(place) and store('STRLEN', staged_key(execution_key, suffix, place)) ~= tonumber(text)
end

function ff.count_bytes(place, text)
  if place == X.here then return text and #text or 0 end
  return tonumber(text) or 0
end

-- Keeps bytes in a key of their own, unless they are so short that they go among the facts: answers them then.
function ff.keep_bytes(execution_key, suffix, place, text)
  if place == X.here then
    text = text or ''
    if #text <= L.inlineBytes then return text end
    store('SET', execution_key .. suffix, text)
    return nil
  end
  local key = execution_key .. suffix
  store('RENAME', staged_key(execution_key, suffix, place), key)
  store('PERSIST', key)
  return nil
end

-- Staged bytes that nobody needs. Those that no command came for expire.
function ff.discard_bytes(execution_key, suffix, place)
  if is_staged(place) then store('UNLINK', staged_key(execution_key, suffix, place)) end
end
