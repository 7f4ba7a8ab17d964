-- Calls that broke off between two writes, because the server refused a command or the library has a defect: what they
-- had begun is half written. It marks the partition, as does the drop of a record that nobody can read, whose counts and
-- lists are unknown. The mark is told with every pass over due work, and some process verifies the partition then
-- (src/valkey/verify/mending.ts).

-- Numbers of marks are not used twice, so that an older verification does not remove a newer mark: a first mark continues
-- behind the last one that was removed.
local function number_on(call, mark)
  local last = mark == 1 and attempted('HGET', call.header_key, HEADER.mended)
  if type(last) == 'string' then attempted('HINCRBY', call.header_key, HEADER.broken, last) end
end

-- Writes the mark. Either command may be the one that is refused. Answers whether it was written.
function ff.mark_broken(call)
  local written = attempted('HINCRBY', call.header_key, HEADER.broken, 1)
  if type(written) == 'table' then written = attempted('HSET', call.header_key, HEADER.broken, call.now_text)
  else number_on(call, written) end
  return type(written) ~= 'table'
end

-- Answers the error of a call that broke off. The log can have entries that the header does not include: the next call
-- then reads the end of the log. A command whose first write was refused left nothing, so there is nothing to mark.
function ff.break_off(call, why)
  ff.forget_header(call)
  local words = type(why) == 'table' and why.err or tostring(why)
  local is_untouched = call.is_untouched
  call.is_untouched = false
  if is_untouched then return { err = words } end
  return { err = words .. (ff.mark_broken(call) and LIMIT.broke_off or LIMIT.broke_off_unmarked) }
end

-- The same for a step of a verification. An error about the data would be met again by the next one.
function ff.break_off_step(call, why)
  ff.forget_header(call)
  if ff.is_refused(why) then return ff.break_off(call, why) end
  return type(why) == 'table' and why or { err = tostring(why) }
end

-- Behind the answers of the call it is told that the partition has the mark.
function ff.tell_broken(call)
  call.set_aside = call.set_aside or { -2 }
  table.insert(call.set_aside, LIMIT.has_broken)
end

-- The name of a process and a time in ms: reserves the partition for its verification. Answers the mark; empty if there
-- is none, or if another process is at it.
function ff.reserve_mending(call, owner, for_ms)
  local broken = command('HGET', call.header_key, HEADER.broken)
  if not broken then return '' end
  local mender = command('HGET', call.header_key, HEADER.mender)
  local other, until_at = string.match(mender or '', '^(.*)\t(%d+)$')
  -- A time further ahead was written before the clock stepped back.
  local ahead_ms = other and tonumber(until_at) - call.now or 0
  if other ~= owner and ahead_ms > 0 and ahead_ms <= tonumber(for_ms) then return '' end
  command('HSET', call.header_key, HEADER.mender, owner .. '\t' .. ff.digits(call.now + for_ms))
  return broken
end

-- Ends the reservation of a process that could not verify the partition, so that another one may try. Not that of another.
function ff.give_back_mending(call, owner)
  local mender = command('HGET', call.header_key, HEADER.mender)
  if mender and string.match(mender, '^(.*)\t%d+$') == owner then command('HDEL', call.header_key, HEADER.mender) end
  return 0
end

-- The mark, or nothing.
function ff.mark_of(call)
  return command('HGET', call.header_key, HEADER.broken) or ''
end

-- The mark at the start of a complete verification. Removes it if no call has broken off since. Answers 1 if it did.
function ff.clear_mark(call, known)
  if ff.mark_of(call) ~= known then return 0 end
  command('HSET', call.header_key, HEADER.mended, known)
  command('HDEL', call.header_key, HEADER.broken, HEADER.mender)
  return 1
end

-- For a process whose call could not write the mark.
function ff.mark_later(call)
  number_on(call, command('HINCRBY', call.header_key, HEADER.broken, 1))
  return 1
end
