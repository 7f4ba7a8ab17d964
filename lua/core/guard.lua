-- Errors of commands: those about one record, and those of the server or of shared keys.

-- Words of refusals that do not depend on the key. They say nothing about the data: treating them as damage would set
-- aside, or delete, healthy records.
local REFUSALS = { 'ACL failure', 'NOPERM', 'OOM ', 'READONLY', 'MISCONF', 'NOREPLICAS' }

local function is_refusal(words)
  for i = 1, #REFUSALS do
    if string.find(words, REFUSALS[i], 1, true) then return true end
  end
  return false
end

-- Whether an error is a refusal.
function ff.is_refused(why)
  return is_refusal(type(why) == 'table' and why.err or tostring(why))
end

-- Makes `guarded` from `run`: it runs a command, answers its result, and raises a refusal of the server.
function ff.guard(run)
  return function(...)
    local answer = run(...)
    if type(answer) == 'table' and answer.err and is_refusal(answer.err) then error(answer) end
    return answer
  end
end

-- A hash in a row of a list: its names and values, or false when the key is of another type.
function ff.listed_hash(key)
  local found = guarded('HGETALL', key)
  return not found.err and found
end

-- Raises an error that `attempted` answered instead of a record: a refusal of the server, or damage of the record.
function ff.no_hash(answer)
  if is_refusal(answer.err) then error(answer) end
  ff.damaged('the record is none')
end

-- Raises again an error that is no fault of one record: a refusal, or an index of another type, which affects all
-- records. The server's `pcall` answers the words of an error instead of its table.
function ff.contain(why)
  local words = type(why) == 'table' and why.err or tostring(why)
  if string.sub(words, 1, 9) == 'WRONGTYPE' or is_refusal(words) then error({ err = words }) end
end
