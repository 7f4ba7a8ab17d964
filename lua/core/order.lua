-- The order of texts. `<` compares texts in the server's locale, in which "a" can come before "B"; all stored data is
-- in the order of bytes, as sorted sets are, in every locale.

local function bytes_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Whether a text comes before another. A locale with "B" before "a" has the order of bytes, and compares faster. It is
-- tested each time, since the locale of a running server can change.
function ff.is_before(a, b)
  if 'B' < 'a' then return a < b end
  return bytes_before(a, b)
end

-- Sorts texts by bytes.
function ff.sort(texts)
  if 'B' < 'a' then table.sort(texts) else table.sort(texts, bytes_before) end
end
