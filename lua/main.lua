-- The functions that the library registers: one for commands, one for reads, one for the handshake.
-- KEYS[1] is the log of the partition and names it; the other keys are those that the call is known to touch.

-- Writes what waits.
function ff.settle_all(call)
  for _, index in pairs(call.indexes) do ff.settle(index) end
  if call.ended then ff.settle_endings(call) end
  if call.leaf then ff.settle_ids(call) end
end

-- What ends a call: what waits is written, then those are told that wait for it. A hint goes last.
local function close(call)
  ff.settle_all(call)
  if call.tallies then ff.settle_tallies(call) end
  if not (call.appended or call.marked) then return end
  ff.close_log(call)
  ff.settle_queues(call)
  ff.announce_timers(call)
  if call.marks then ff.announce_log(call) end
end

local function handler_of(handlers, name)
  return handlers[name] or error({ err = 'ERR flowfabric: no such operation: ' .. tostring(name) })
end

-- Runs the commands of a group: its name, how many they are, what they share, what each has. A command looks and decides,
-- which can fail and writes nothing; then what was decided is done, which cannot fail. Answers where the next group
-- begins, or nothing when the caller has to send a command again with its bytes, and what is behind it.
local function run_group(call, argv, at, replies)
  local name, count = argv[at], tonumber(argv[at + 1])
  local shape, decide = handler_of(SHAPE, name), handler_of(ff.decide, name)
  local shared, each = shape[1], shape[2]
  at = at + 2
  local prepared, group = true, nil
  if shared > 0 then prepared, group = pcall(ff.prepare[name], call, unpack(argv, at, at + shared - 1)) end
  at = at + shared
  for _ = 1, count do
    local length = each
    if not length then
      length = tonumber(argv[at])
      at = at + 1
    end
    local last = at + length - 1
    local ran, reply, apply, a, b, c, d, e, f, g
    if not prepared then
      ran, reply = false, group
    elseif shared > 0 then
      ran, reply, apply, a, b, c, d, e, f, g = pcall(decide, call, group, unpack(argv, at, last))
    else
      ran, reply, apply, a, b, c, d, e, f, g = pcall(decide, call, unpack(argv, at, last))
    end
    at = last + 1
    if not ran then
      reply = ff.fault(reply)
    elseif apply then
      apply(call, a, b, c, d, e, f, g)
    end
    replies[#replies + 1] = reply
    if reply == LIMIT.not_staged then return nil end
  end
  return at
end

-- ARGV: what `ff.open_call` takes, then groups.
local function execute(keys, argv)
  local call, at = ff.open_call(keys, argv)
  local replies = {}
  local last = #argv
  call.gathers = last - at > LIMIT.gather_from_arguments
  while at and at <= last do at = run_group(call, argv, at, replies) end
  close(call)
  return replies
end

-- A server whose memory is full refuses new work and takes everything that ends work: `advance` is the same function
-- for calls without creations.
server.register_function(LIBRARY.prefix .. 'execute', execute)
server.register_function({ function_name = LIBRARY.prefix .. 'advance', callback = execute, flags = { 'allow-oom' } })

-- ARGV: what `ff.open_call` takes, then the name of the read and its arguments.
server.register_function({
  function_name = LIBRARY.prefix .. 'read',
  callback = function(keys, argv)
    local call, at = ff.open_call(keys, argv)
    return handler_of(ff.query, argv[at])(call, unpack(argv, at + 1))
  end,
  flags = { 'no-writes' },
})

-- Answers the contract, the build and the content hash of this library.
server.register_function({
  function_name = LIBRARY.prefix .. 'version',
  callback = function() return { LIBRARY.contract, LIBRARY.build, LIBRARY.hash } end,
  flags = { 'no-writes', 'allow-stale' },
})
