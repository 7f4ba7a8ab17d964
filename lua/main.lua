-- The functions that the library registers: one for commands, one for reads, one for the handshake.
-- KEYS[1] is the log of the partition and names it; the other keys are those that the call is known to touch.

local function handler_of(handlers, name)
  return handlers[name] or ff.broken('no such operation: ' .. name)
end

local function execute(keys, argv)
  local call = ff.open_call(keys, argv)
  -- Queues that were empty and got work in this call, by their keys.
  call.wakes = {}
  local replies = {}
  local last
  for i = 1, ff.number(call) do
    local name = ff.text(call)
    if name ~= last then ff.settle(call) end
    last = name
    replies[i] = handler_of(ff.operations, name)(call)
  end
  ff.settle(call)
  if next(call.wakes) then ff.publish_wakes(call) end
  return replies
end

-- ARGV: [now, in a test build], log_max_entries, retention_ms, count, then per command its name and arguments.
-- A server whose memory is full refuses new work and takes everything that ends work: `advance` is the same function
-- for calls without creations.
server.register_function(L.functionPrefix .. 'execute', execute)
server.register_function({ function_name = L.functionPrefix .. 'advance', callback = execute, flags = { 'allow-oom' } })

-- ARGV: [now, in a test build], log_max_entries, retention_ms, name, arguments.
server.register_function({
  function_name = L.functionPrefix .. 'read',
  callback = function(keys, argv)
    local call = ff.open_call(keys, argv)
    return handler_of(ff.queries, ff.text(call))(call)
  end,
  flags = { 'no-writes' },
})

-- Answers the contract, the build and the content hash of this library.
server.register_function({
  function_name = L.functionPrefix .. 'version',
  callback = function() return { L.contract, L.build, L.hash } end,
  flags = { 'no-writes', 'allow-stale' },
})
