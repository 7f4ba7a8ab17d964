-- The functions that the library registers: one for commands, one for reads, one for the handshake.
-- KEYS[1] is the log of the partition and names it; the other keys are those that the call is known to touch.

local function handler_of(handlers, name)
  return handlers[name] or ff.broken('no such operation: ' .. name)
end

-- ARGV: what `ff.open_call` takes, the count of commands, then per command its name, the count of its arguments, and
-- these.
local function execute(keys, argv)
  local call, at = ff.open_call(keys, argv)
  local replies = {}
  local operation, last
  local count = argv[at]
  at = at + 1
  for i = 1, count do
    local name = argv[at]
    if name ~= last then
      ff.settle(call)
      operation, last = handler_of(ff.operations, name), name
    end
    local first = at + 2
    at = first + argv[at + 1]
    local ran, reply = pcall(operation, call, unpack(argv, first, at - 1))
    if not ran then
      -- What the commands before it wait to write is written: nobody pays for another's fault.
      ff.settle(call)
      reply, last = ff.fault(reply), nil
    end
    replies[i] = reply
    -- The caller sends this one again, with its bytes, and what is behind it: commands keep their order.
    if reply == ff.not_staged() then break end
  end
  ff.settle(call)
  if call.wakes then ff.publish_wakes(call) end
  return replies
end

-- A server whose memory is full refuses new work and takes everything that ends work: `advance` is the same function
-- for calls without creations.
server.register_function(L.functionPrefix .. 'execute', execute)
server.register_function({ function_name = L.functionPrefix .. 'advance', callback = execute, flags = { 'allow-oom' } })

-- ARGV: what `ff.open_call` takes, then the name of the read and its arguments.
server.register_function({
  function_name = L.functionPrefix .. 'read',
  callback = function(keys, argv)
    local call, at = ff.open_call(keys, argv)
    return handler_of(ff.queries, argv[at])(call, unpack(argv, at + 1))
  end,
  flags = { 'no-writes' },
})

-- Answers the contract, the build and the content hash of this library.
server.register_function({
  function_name = L.functionPrefix .. 'version',
  callback = function() return { L.contract, L.build, L.hash } end,
  flags = { 'no-writes', 'allow-stale' },
})
