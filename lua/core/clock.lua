-- The clock of a production build: the server's own. A caller cannot tell it the time.

local last_seconds, last_ms

-- Answers the time as a number and as a text, and the place of the first argument.
function ff.read_clock()
  local time = command('TIME')
  local seconds, micros = time[1], tonumber(time[2])
  if seconds ~= last_seconds then last_seconds, last_ms = seconds, seconds * 1000 end
  local ms = (micros - micros % 1000) / 1000
  return last_ms + ms, seconds .. ff.three_digits(ms), 1
end

-- Lets the server collect a key once its time is over; what is shown is decided by the time alone. Nothing: it stays.
function ff.collect_at(key, at)
  if at then command('PEXPIREAT', key, at) else command('PERSIST', key) end
end

-- Keeps an idempotency entry. The time in the value decides; the server's own expiry only collects what lapsed.
function ff.remember(key, value, expires_at)
  command('SET', key, value, 'PXAT', expires_at)
end
