-- The clock of a production build: the server's own. A caller cannot set the time.

local last_seconds, last_ms

-- Answers the time as a number and as a text, and the index of the first argument.
function ff.read_clock()
  local time = command('TIME')
  local seconds, micros = time[1], tonumber(time[2])
  if seconds ~= last_seconds then last_seconds, last_ms = seconds, seconds * 1000 end
  local ms = (micros - micros % 1000) / 1000
  return last_ms + ms, seconds .. ff.three_digits(ms), 1
end

-- Lets the server collect a key after a time; reads decide by the time alone. Without a time the key stays.
function ff.collect_at(key, at)
  if at then command('PEXPIREAT', key, at) else command('PERSIST', key) end
end

-- Stores an idempotency entry. Reads decide whether it is valid; the server's expiry only collects it later. One without
-- an expiry is removed with its execution.
function ff.remember(key, value, expires_at)
  if expires_at then command('SET', key, value, 'PXAT', expires_at) else command('SET', key, value) end
end
