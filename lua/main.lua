-- The functions that the library registers: one for commands, one for reads, one for the handshake.
-- KEYS[1] is the log of the partition and names it; the other keys are those that the call is known to touch.

local function run(call, handlers)
  local name = ff.text(call)
  local handler = handlers[name]
  if not handler then ff.broken('no such operation: ' .. name) end
  return handler(call)
end

-- ARGV: [now, in a test build], log_max_entries, retention_ms, count, then per command its name and arguments.
server.register_function(L.functionPrefix .. 'execute', function(keys, argv)
  local call = ff.open_call(keys, argv)
  local replies = {}
  for i = 1, ff.number(call) do replies[i] = run(call, ff.operations) end
  return replies
end)

-- ARGV: [now, in a test build], log_max_entries, retention_ms, name, arguments.
server.register_function({
  function_name = L.functionPrefix .. 'read',
  callback = function(keys, argv) return run(ff.open_call(keys, argv), ff.queries) end,
  flags = { 'no-writes' },
})

-- Answers the contract, the build and the content hash of this library.
server.register_function({
  function_name = L.functionPrefix .. 'version',
  callback = function() return { L.contract, L.build, L.hash } end,
  flags = { 'no-writes', 'allow-stale' },
})
