-- Reads of readers; see model/reader/reads.ts

-- list_readers
-- Answers ids and positions.
function ff.query.list_readers(call)
  return { command('HGETALL', call.base .. KEY.readers), call.generation, ff.digits(call.sequence) }
end
