-- The clock of a production build: the server's own. A caller cannot tell it the time.

-- Answers the time, and the place of the first argument.
function ff.read_clock()
  local time = command('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), 1
end

-- Keeps an idempotency entry. The time in the value decides; the server's own expiry only collects what lapsed.
function ff.remember(key, value, expires_at)
  command('SET', key, value, 'PXAT', expires_at)
end
