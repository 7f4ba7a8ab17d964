-- Amounts: numbers by dimension, in the byte order of the names; the twin of model/budget/amounts.ts. They are stored
-- as JSON, which is read and written here: names need no escapes, and numbers keep all their digits.

-- Compares texts by bytes; the order of `<` can be that of a language.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- `names` are in order; `of` is by name.
function ff.read_amounts(text)
  local names, of = {}, {}
  if text ~= '' then
    local size = 1
    for name, digits in string.gmatch(text, '"([%w_./-]+)":(%d+)') do
      names[#names + 1] = name
      of[name] = tonumber(digits)
      size = size + #name + #digits + 4
    end
    if size ~= #text then ff.damaged('amounts are unreadable') end
  end
  return { names = names, of = of }
end

function ff.amounts_text(amounts)
  local names, of = amounts.names, amounts.of
  if #names == 0 then return '' end
  local parts = {}
  for i = 1, #names do parts[i] = '"' .. names[i] .. '":' .. ff.digits(of[names[i]]) end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- Sets an amount; a new name is inserted in order.
function ff.set_amount(amounts, name, number)
  local names, of = amounts.names, amounts.of
  if not of[name] then
    local at = #names + 1
    while at > 1 and before(name, names[at - 1]) do at = at - 1 end
    table.insert(names, at, name)
  end
  of[name] = number
end

function ff.add_amounts(amounts, more)
  for i = 1, #more.names do
    local name = more.names[i]
    ff.set_amount(amounts, name, (amounts.of[name] or 0) + more.of[name])
  end
end

-- Subtracts amounts. Dimensions that become zero are removed unless `keeps` is set.
function ff.take_amounts(amounts, less, keeps)
  local names, of = {}, {}
  for i = 1, #amounts.names do
    local name = amounts.names[i]
    local left = math.max(0, amounts.of[name] - (less.of[name] or 0))
    if left > 0 or keeps then names[#names + 1], of[name] = name, left end
  end
  amounts.names, amounts.of = names, of
end

function ff.no_amounts()
  return { names = {}, of = {} }
end

function ff.same_amounts(amounts)
  local same = ff.no_amounts()
  ff.add_amounts(same, amounts)
  return same
end
