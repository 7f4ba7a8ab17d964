-- What a command answers. Accepted: 1, the kind of the outcome, its fields in the order of the declaration.
-- Refused: 0, the code, then details as name/value pairs.

function ff.accept(kind, ...)
  return { 1, kind, ... }
end

-- Nothing was done: what the caller staged beside the call is not there.
function ff.not_staged()
  return { 2 }
end

function ff.reject(code, ...)
  return { 0, code, ... }
end

-- Raises a defect of the engine: nothing was written yet, because all reads come before all writes.
function ff.broken(message)
  error({ err = 'ERR flowfabric: ' .. message })
end
