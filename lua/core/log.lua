-- The log of the partition: one entry per event, written in the same call as the state that it explains. The id of an
-- entry is its position and its time: `<sequence>-<time>`. Positions have no gaps; trimming removes whole nodes. An
-- entry is the letter of its event, its subject, and its facts as texts, most of which exist already.

-- The start of the current thousand and its digits; three digits by number. None below the first thousand.
local thousand, thousand_digits, three = -1000, '', {}

-- The last digits of a position in another thousand.
local function begin_thousand(sequence)
  local rest = sequence % 1000
  if rest == sequence then
    thousand, thousand_digits = -1000, ''
    return ff.digits(rest)
  end
  thousand = sequence - rest
  thousand_digits = ff.digits(thousand / 1000)
  three[rest] = ff.three_digits(rest)
  return three[rest]
end

-- The id of the next entry.
local function next_position(call, sequence)
  call.sequence = sequence
  local digits = three[sequence - thousand] or begin_thousand(sequence)
  local position = thousand_digits .. digits .. '-' .. call.now_text
  call.position = position
  return position
end

-- Starts the entries of a call: identifies a new log, and records a step back in time.
local function begin(call)
  local from = call.time
  call.appended, call.text = true, false
  if call.marks then ff.pass_marks(call) end
  call.time = call.now
  if call.generation == '' then call.generation = ff.base36(call.now) end
  if from > call.now then
    command('XADD', call.log_key, next_position(call, call.sequence + 1), EVENT.clock_stepped_back, call.partition,
      ff.digits(from) .. '\t' .. call.now_text, '')
  end
end

-- Appends an event of a subject. The further arguments are its texts, an even number of them. The log is trimmed only
-- now and then, because the server removes whole nodes anyway.
function ff.append(call, event, subject, ...)
  if not call.appended then begin(call) end
  local sequence = call.sequence + 1
  if sequence < call.trims_from then
    command('XADD', call.log_key, next_position(call, sequence), event, subject, ...)
  else
    call.trims_from = sequence + LIMIT.trim_every
    command('XADD', call.log_key, 'MAXLEN', '~', ff.log_limit(call), next_position(call, sequence), event, subject, ...)
  end
end

local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'

-- A whole number in base 36.
function ff.base36(number)
  local text = ''
  repeat
    local digit = number % 36
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    number = (number - digit) / 36
  until number == 0
  return text
end

-- The end of the log in the form that readers use.
function ff.cursor(call)
  return call.generation .. '.' .. ff.digits(call.sequence) .. '.' .. ff.digits(call.time)
end

-- Writes the header.
function ff.close_log(call)
  local text = call.generation .. '\t' .. call.position
  if call.marks then
    text = text .. ff.marks_text(call)
  elseif call.lasting ~= '' then
    text = text .. '\t' .. call.lasting
  end
  command('HSET', call.header_key, HEADER.position, text)
  call.text = text
end
