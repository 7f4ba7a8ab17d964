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

-- Answers whether the record was not in quarantine before.
function ff.quarantine(call, member, why)
  call.mended = true
  return command('HSET', call.base .. KEY.quarantine, member, call.now_text .. '\t' .. ff.words_of(why)) == 1
end

-- The same for a record that a command meets on its way, and does not name in its answer. Behind the answers of a call
-- follow -2 and the names of these.
function ff.set_aside(call, member, why)
  if not ff.quarantine(call, member, why) then return end
  call.set_aside = call.set_aside or { -2 }
  table.insert(call.set_aside, member)
end

-- Removes executions from the quarantine that are purged: an entry without a record could only be given up.
function ff.leave_quarantine(call, executions)
  if not executions[1] then return end
  local names = {}
  for i = 1, #executions do names[i] = TIMER.execution .. executions[i].id end
  guarded('HDEL', call.base .. KEY.quarantine, unpack(names))
end

-- Whether an execution is in quarantine.
function ff.is_execution_aside(call)
  local entries = command('HGETALL', call.base .. KEY.quarantine)
  for i = 1, #entries, 2 do
    if string.sub(entries[i], 1, #TIMER.execution) == TIMER.execution then return true end
  end
  return false
end
