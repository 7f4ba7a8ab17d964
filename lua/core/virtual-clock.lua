-- The clock of a test build: the first argument of the call. This file is never part of a production build.

-- Answers the time as a number and as a text, and the index of the first argument after it.
function ff.read_clock(argv)
  return tonumber(argv[1]), argv[1], 2
end

-- Nothing is collected: the server's expiry does not follow this clock.
function ff.collect_at()
end

-- Stores an idempotency entry without expiry, because the server's expiry does not follow this clock.
function ff.remember(key, value)
  command('SET', key, value)
end
