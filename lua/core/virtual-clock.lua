-- The clock of a test build: the first argument of the call. This file is never part of a production build.

-- Answers the time as a number and as a text, and the place of the first argument after it.
function ff.read_clock(argv)
  return tonumber(argv[1]), argv[1], 2
end

-- Nothing is collected: the server's own expiry knows nothing of this clock.
function ff.collect_at()
end

-- Keeps an idempotency entry for good: the server's own expiry knows nothing of this clock.
function ff.remember(key, value)
  command('SET', key, value)
end
