-- The order of texts. `<` of two texts is that of the server's locale, in which "a" can come before "B"; all that is stored is
-- in the order of bytes, as sorted sets are, whatever the locale.

local function bytes_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Whether a text comes before another. A locale that has "B" before "a" has the order of bytes, and compares faster. It is
-- looked at each time, since a server can be given another one while it runs.
function ff.is_before(a, b)
  if 'B' < 'a' then return a < b end
  return bytes_before(a, b)
end

-- Puts texts in order.
function ff.sort(texts)
  if 'B' < 'a' then table.sort(texts) else table.sort(texts, bytes_before) end
end
