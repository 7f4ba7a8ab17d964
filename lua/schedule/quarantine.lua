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

-- Answers whether the record was not in quarantine before. The time and the reason of the first entry stay.
function ff.quarantine(call, member, why)
  call.mended = true
  return command('HSETNX', call.base .. KEY.quarantine, member, call.now_text .. '\t' .. ff.words_of(why)) == 1
end

-- The same for a record that a command meets on its way, and does not name in its answer. Behind the answers of a call
-- follow -2 and the names of these.
function ff.set_aside(call, member, why)
  if not ff.quarantine(call, member, why) and not call.names_all_aside then return end
  call.set_aside = call.set_aside or { -2 }
  table.insert(call.set_aside, member)
end

-- Removes executions from the quarantine that are purged, and further names: an entry without a record could only be
-- given up.
function ff.leave_quarantine(call, executions, further)
  local names = further or {}
  for i = 1, #executions do names[#names + 1] = TIMER.execution .. executions[i].id end
  if names[1] then guarded('HDEL', call.base .. KEY.quarantine, unpack(names)) end
end

-- Whether an execution is in quarantine; assumed where much else is.
function ff.is_execution_aside(call)
  local found = command('HSCAN', call.base .. KEY.quarantine, '0', 'MATCH', TIMER.execution .. '*', 'COUNT', LIMIT.max_looked_at)
  return found[1] ~= '0' or found[2][1] ~= nil
end
