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
  ff.settle_tallies(call)
  if not (call.appended or call.marked) then return end
  ff.close_log(call)
  ff.settle_queues(call)
  ff.announce_timers(call)
  if call.marks then ff.announce_log(call) end
end

local function handler_of(handlers, name)
  return handlers[name] or error({ err = 'ERR flowfabric: no such operation: ' .. tostring(name) })
end

-- The group that is being run. Calls run one after another: one table does for all.
local run = { decide = false, each = false, left = 0, at = 0, answered = 0, group = false, is_cut = false }

-- Runs the commands of a group that are left. A command looks and decides, which can fail and writes nothing; then what
-- was decided is done, which cannot fail.
local function run_commands(call, argv, replies)
  local decide, each, group = run.decide, run.each, run.group
  while run.left > 0 do
    local at, length = run.at, each
    if not length then
      length = tonumber(argv[at])
      at = at + 1
    end
    local last = at + length - 1
    -- When it fails, those behind it are left.
    run.at, run.left, run.answered = last + 1, run.left - 1, run.answered + 1
    local reply, apply, a, b, c, d, e, f, g
    if group then
      reply, apply, a, b, c, d, e, f, g = decide(call, group, unpack(argv, at, last))
    else
      reply, apply, a, b, c, d, e, f, g = decide(call, unpack(argv, at, last))
    end
    if apply then apply(call, a, b, c, d, e, f, g) end
    replies[run.answered] = reply
    if reply == LIMIT.not_staged then
      run.is_cut = true
      return
    end
  end
end

-- Answers every command that is left with the same error.
local function fail_group(argv, replies, reply)
  for _ = 1, run.left do
    run.at = run.at + (run.each or tonumber(argv[run.at]) + 1)
    run.answered = run.answered + 1
    replies[run.answered] = reply
  end
  run.left = 0
end

-- Runs a group: its name, how many commands it has, what they share, what each has. Answers where the next group begins,
-- or nothing when the caller has to send a command again with its bytes, and what is behind it.
local function run_group(call, argv, at, replies)
  local name = argv[at]
  local shape = handler_of(SHAPE, name)
  local shared = shape[1]
  run.decide, run.each, run.left, run.at = handler_of(ff.decide, name), shape[2], tonumber(argv[at + 1]), at + 2 + shared
  run.group, run.is_cut = false, false
  if shared > 0 then
    local prepared, group = pcall(ff.prepare[name], call, unpack(argv, at + 2, at + 1 + shared))
    if prepared then run.group = group else fail_group(argv, replies, ff.fault(group)) end
  end
  while run.left > 0 and not run.is_cut do
    local ran, why = pcall(run_commands, call, argv, replies)
    if not ran then replies[run.answered] = ff.fault(why) end
  end
  return not run.is_cut and run.at
end

-- ARGV: what `ff.open_call` takes, then groups.
local function execute(keys, argv)
  local call, at = ff.open_call(keys, argv)
  local replies = {}
  local last = #argv
  run.answered = 0
  call.gathers = last - at > LIMIT.gather_from_arguments
  while at and at <= last do at = run_group(call, argv, at, replies) end
  close(call)
  return replies
end

-- A server whose memory is full refuses new work and takes everything that ends work: `advance` is the same function
-- for calls without creations.
server.register_function(LIBRARY.prefix .. 'execute', execute)
server.register_function({ function_name = LIBRARY.prefix .. 'advance', callback = execute, flags = { 'allow-oom' } })

-- KEYS[1] is the record of the deployment. ARGV: its text as the caller knows it, its text from now on.
-- Answers 1, or 0 when the record is another one: nothing was done.
server.register_function({
  function_name = LIBRARY.prefix .. 'configure',
  callback = function(keys, argv)
    if not command then ff.bind() end
    if command('GET', keys[1]) ~= argv[1] then return 0 end
    command('SET', keys[1], argv[2])
    return 1
  end,
  flags = { 'allow-oom' },
})

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
