-- The call in hand: where its keys are and what time it is.
-- An operation is a function of the call and its arguments, in the order of the declaration in model/. An argument
-- that is absent is empty; behind the last one that is given there is none.

local UUID_LENGTH = 36

-- ARGV: [now, in a test build], log_max_entries, retention_ms, `1` when payloads that have keys of their own stay there,
-- and what the function says besides.
-- Answers the call, and the place of the first of its own arguments.
function ff.open_call(keys, argv)
  if not store then ff.bind() end
  local now, at = ff.read_clock(argv)
  local log_key = keys[1]
  return {
    -- "<prefix>{fp:<n>}:", the start of every key of the partition.
    base = string.sub(log_key, 1, -1 - #K.log),
    log_key = log_key,
    now = now,
    log_max_entries = argv[at],
    retention_ms = tonumber(argv[at + 1]),
    leaves_payloads = argv[at + 2] == '1',
    -- Index entries that wait for `ff.settle`.
    entering = nil,
    taken = nil,
    ended = nil,
  }, at + 3
end

-- Consecutive commands of one operation in one call write their entries of an index together: one large command is
-- cheaper than many small ones. Whoever reads such an index settles first; so does another operation.
function ff.settle(call)
  if call.entering then ff.settle_entering(call) end
  if call.taken then ff.settle_taken(call) end
  if call.ended then ff.settle_ended(call) end
end

-- An argument, or nil when it is absent.
function ff.given(argument)
  if argument ~= '' then return argument end
  return nil
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

local last_number, last_digits

-- A whole number as text. Concatenation alone would round beyond 14 digits. The same one is often asked for again.
function ff.digits(number)
  if number ~= last_number then
    last_number, last_digits = number, string.format('%.0f', number)
  end
  return last_digits
end
