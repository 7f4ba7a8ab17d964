-- The call in hand: where its keys are, what time it is, and a cursor over its arguments.
-- Arguments are positional, in the order of the declaration in model/; an empty argument is an absent one.

function ff.open_call(keys, argv)
  local log_key = keys[1]
  local base = string.sub(log_key, 1, -1 - #K.log)
  local call = {
    argv = argv,
    at = 1,
    -- "<prefix>{fp:<n>}:", the start of every key of the partition.
    base = base,
    log_key = log_key,
  }
  ff.read_clock(call)
  call.log_max_entries = argv[call.at]
  call.retention_ms = tonumber(argv[call.at + 1])
  call.at = call.at + 2
  return call
end

-- The next argument as it is; it may be empty.
function ff.text(call)
  local value = call.argv[call.at]
  call.at = call.at + 1
  return value
end

-- The next argument, or nil when it is empty.
function ff.optional(call)
  local value = call.argv[call.at]
  call.at = call.at + 1
  if value == '' then return nil end
  return value
end

-- The next argument as a number, or nil when it is empty.
function ff.number(call)
  local value = call.argv[call.at]
  call.at = call.at + 1
  return tonumber(value)
end

-- Optional bytes are two arguments, because an empty text is not the same as none.
function ff.optional_bytes(call)
  local present = ff.text(call) == '1'
  local value = ff.text(call)
  if present then return value end
  return nil
end

-- Key of the core hash of an execution; its other keys start with it.
function ff.core_key(call, execution_id)
  return call.base .. string.sub(execution_id, -36)
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
