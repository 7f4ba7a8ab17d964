-- What a command answers. Accepted: 1, the kind of the outcome, its fields in the order of the declaration.
-- Refused: 0, the code, then details as name/value pairs.

function ff.accept(kind, ...)
  return { 1, kind, ... }
end

local NOT_STAGED = { 2 }

-- Nothing was done: what the caller staged beside the call is not there.
function ff.not_staged()
  return NOT_STAGED
end

-- The command met an error: a defect of ours, or a record that something else has changed.
function ff.fault(message)
  return { 3, type(message) == 'table' and message.err or tostring(message) }
end

function ff.reject(code, ...)
  return { 0, code, ... }
end

-- Raises a defect of the engine: nothing was written yet, because all reads come before all writes.
function ff.broken(message)
  error({ err = 'ERR flowfabric: ' .. message })
end
