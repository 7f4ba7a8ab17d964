-- Errors of commands: which of them speak of one record, and which of the server or of what records share.

-- Words with which a server refuses whatever the key is. They say nothing of the data: who takes them for damage sets aside,
-- or deletes, what is healthy.
local REFUSALS = { 'ACL failure', 'NOPERM', 'OOM ', 'READONLY', 'MISCONF', 'NOREPLICAS' }

local function is_refusal(words)
  for i = 1, #REFUSALS do
    if string.find(words, REFUSALS[i], 1, true) then return true end
  end
  return false
end

-- What `guarded` is: runs a command by `run`, answers what it answers, and raises a refusal of the server.
function ff.guard(run)
  return function(...)
    local answer = run(...)
    if type(answer) == 'table' and answer.err and is_refusal(answer.err) then error(answer) end
    return answer
  end
end

-- Raises what `attempted` was answered in the place of a record: a refusal of the server, or that the record is none.
function ff.no_hash(answer)
  if is_refusal(answer.err) then error(answer) end
  ff.damaged('the record is none')
end

-- Raises again what is no fault of one record: a refusal, and an index that is not what it should be, which concerns all of
-- them. `pcall` of the server gives the words of an error in the place of its table.
function ff.contain(why)
  local words = type(why) == 'table' and why.err or tostring(why)
  if string.sub(words, 1, 9) == 'WRONGTYPE' or is_refusal(words) then error({ err = words }) end
end
