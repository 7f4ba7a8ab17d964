-- What a command answers, and what it does. `decide` looks and computes; what it answers besides is carried out when it
-- is over, and cannot fail.

-- A refusal. Details follow as names and values.
function ff.reject(code, ...)
  return { 0, code, ... }
end

-- The command met an error: a defect of ours, or a record that something else has changed.
function ff.fault(message)
  return { -1, type(message) == 'table' and message.err or tostring(message) }
end
