-- What could not be read is set aside: it keeps nothing else waiting, and is shown to operators.

-- Looks at where it will be noted.
function ff.check_quarantine(call)
  command('HLEN', call.base .. KEY.quarantine)
end

-- What is wrong with a record, in words.
function ff.words_of(why)
  local words = type(why) == 'table' and why.err or tostring(why)
  return string.match(words, 'DAMAGED (.*)$') or words
end

function ff.quarantine(call, member, why)
  call.mended = true
  command('HSET', call.base .. KEY.quarantine, member, call.now_text .. '\t' .. ff.words_of(why))
end
