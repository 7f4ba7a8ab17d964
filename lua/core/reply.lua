-- Answers of commands. `decide` reads and computes; the function that it answers besides the reply runs afterwards, and
-- cannot fail.

-- A refusal. Details follow as names and values.
function ff.reject(code, ...)
  return { 0, code, ... }
end

-- The command met an error: a defect of the library, or a record that was changed from outside.
function ff.fault(message)
  return { -1, type(message) == 'table' and message.err or tostring(message) }
end
