-- The clock of a production build: the server's own. A caller cannot tell it the time.

function ff.read_clock(call)
  local time = server.call('TIME')
  call.now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Keeps an idempotency entry. The time in the value decides; the server's own expiry only collects what lapsed.
function ff.remember(key, value, expires_at)
  server.call('SET', key, value, 'PXAT', ff.digits(expires_at))
end
