-- The call in hand: where its keys are, what time it is, and a cursor over its arguments.
-- Arguments are positional, in the order of the declaration in model/; an empty argument is an absent one.

local UUID_LENGTH = 36

function ff.open_call(keys, argv)
  -- While a library is loaded, `server` has no `call`: it can be kept only from the first call on.
  store = store or server.call
  local now, at = ff.read_clock(argv)
  local log_key = keys[1]
  return {
    argv = argv,
    at = at + 2,
    -- "<prefix>{fp:<n>}:", the start of every key of the partition.
    base = string.sub(log_key, 1, -1 - #K.log),
    log_key = log_key,
    now = now,
    log_max_entries = argv[at],
    retention_ms = tonumber(argv[at + 1]),
    -- Index entries that wait for `ff.settle`.
    entering = nil,
    ended = nil,
  }
end

-- Consecutive commands of one operation in one call write their entries of an index together: one large command is
-- cheaper than many small ones. Whoever reads such an index settles first; so does another operation.
function ff.settle(call)
  if call.entering then ff.settle_entering(call) end
  if call.ended then ff.settle_ended(call) end
end

-- The next arguments as they are; each may be empty.
function ff.take(call, count)
  local at = call.at
  call.at = at + count
  return unpack(call.argv, at, at + count - 1)
end

-- The next argument as it is; it may be empty.
function ff.text(call)
  local at = call.at
  call.at = at + 1
  return call.argv[at]
end

-- The next argument, or nil when it is empty.
function ff.optional(call)
  local value = ff.text(call)
  if value == '' then return nil end
  return value
end

-- The next argument as a number, or nil when it is empty.
function ff.number(call)
  return tonumber((ff.text(call)))
end

-- What follows a mark: "0" and nothing, or another mark and a value. Answers the value and the mark, or nil.
function ff.marked(call)
  local mark = ff.text(call)
  if mark == '0' then return nil end
  return ff.text(call), mark
end

-- The part of an execution id by which it is known inside its partition, in keys and in indexes: its UUID.
function ff.uuid(execution_id)
  return string.sub(execution_id, -UUID_LENGTH)
end

-- The prefix of the deployment: what stands before the partition's tag.
function ff.prefix(call)
  return string.match(call.base, '^(.-){')
end

-- The wire form of the partition, "{fp:<n>}".
function ff.partition(call)
  return string.match(call.base, '({.-}):$')
end

-- A whole number as text. Concatenation alone would round beyond 14 digits.
function ff.digits(number)
  return string.format('%.0f', number)
end
