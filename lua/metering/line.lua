-- The waiting work of one metered queue; the twin of model/metering/line.ts.

-- Number of waiting executions, including reclaimable ones.
function ff.waiting_in(queue)
  ff.settle(queue)
  return command('ZCARD', queue.key)
end

-- The id of the oldest among the least urgent executions; nil when all waiting ones were started before.
function ff.oldest_in(call, queue)
  local last = tonumber(command('ZRANGE', queue.key, -1, -1, 'WITHSCORES')[2])
  if not last or last < tonumber(LIMIT.first_waiting_score) then return nil end
  local priority = math.max(0, math.floor((call.now - last) / LIMIT.priority_step + 0.5))
  local from = ff.digits(ff.last_score_of(call, priority + 1))
  return command('ZRANGEBYSCORE', queue.key, '(' .. from, '+inf', 'LIMIT', 0, 1)[1]
end
