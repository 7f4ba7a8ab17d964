-- What could not be read is set aside: it keeps nothing else waiting, and is shown to operators.

-- Looks at where it will be noted.
function ff.check_quarantine(call)
  command('HLEN', call.base .. KEY.quarantine)
end

function ff.quarantine(call, member, why)
  local words = type(why) == 'table' and why.err or tostring(why)
  command('HSET', call.base .. KEY.quarantine, member, call.now_text .. '\t' .. words)
end
