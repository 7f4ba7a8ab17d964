-- Whole numbers as texts. The server's own conversion costs as much as a command. Numbers of a call are mostly times
-- and positions, which share all but their last three digits: the leading digits are converted once.

local three = {}

-- Three digits. Made on first use, because built-in functions are not available while a library is loaded.
function ff.three_digits(rest)
  local digits = three[rest]
  if not digits then
    digits = string.sub(1000 + rest .. '', 2)
    three[rest] = digits
  end
  return digits
end

local below_thousand = {}
local thousands, thousands_count = {}, 0

local function text_of_thousands(count)
  local text = thousands[count]
  if not text then
    if thousands_count == LIMIT.known_thousands then thousands, thousands_count = {}, 0 end
    text = string.format('%d', count)
    thousands[count], thousands_count = text, thousands_count + 1
  end
  return text
end

local function write(number)
  local rest = number % 1000
  local count = (number - rest) / 1000
  if count < 0 or rest % 1 ~= 0 then return string.format('%.0f', number) end
  if count > 0 then return text_of_thousands(count) .. ff.three_digits(rest) end
  local text = string.format('%d', number)
  below_thousand[rest] = text
  return text
end

local last_number, last_text

-- A whole number as text. Concatenation would round beyond 14 digits. The same number is often requested again.
function ff.digits(number)
  if number ~= last_number then last_number, last_text = number, below_thousand[number] or write(number) end
  return last_text
end
