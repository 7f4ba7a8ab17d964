-- Unreadable records are set aside: they stop no other work, and are shown to operators.

-- Checks the key of the quarantine.
function ff.check_quarantine(call)
  command('HLEN', call.base .. KEY.quarantine)
end

-- The damage of a record as a text.
function ff.words_of(why)
  local words = type(why) == 'table' and why.err or tostring(why)
  return string.match(words, 'DAMAGED (.*)$') or words
end

function ff.quarantine(call, member, why)
  call.mended = true
  command('HSET', call.base .. KEY.quarantine, member, call.now_text .. '\t' .. ff.words_of(why))
end

-- Whether an execution is in quarantine.
function ff.is_execution_aside(call)
  local entries = command('HGETALL', call.base .. KEY.quarantine)
  for i = 1, #entries, 2 do
    if string.sub(entries[i], 1, #TIMER.execution) == TIMER.execution then return true end
  end
  return false
end
