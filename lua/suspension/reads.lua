-- read_waiting: execution_id
-- Answers core pairs, detail pairs, and pairs of what the execution waits for; empty lists where there is nothing.
function ff.query.read_waiting(call, execution_id)
  local key = call.base .. execution_id
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details), command('HGETALL', key .. SUFFIX.waits) }
end
