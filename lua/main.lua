-- The functions that the library registers: one for commands, one for reads, one for the handshake.
-- KEYS[1] is the log of the partition and identifies it; the other keys are those that the call is known to touch.

-- Writes everything that was gathered.
function ff.settle_all(call)
  if call.returned then ff.settle_returned(call) end
  if call.gathers then
    for _, index in pairs(call.indexes) do ff.settle(index) end
  end
  if call.ended then ff.settle_endings(call) end
  if call.leaf then ff.settle_ids(call) end
  if call.shelves then ff.settle_shelves(call) end
  if call.budgets then ff.settle_budgets(call) end
end

-- Ends a call: writes what was gathered, then sends notices. Hints are sent last.
local function settle_and_tell(call)
  if call.stream then ff.settle_stream(call) end
  ff.settle_all(call)
  ff.settle_tallies(call)
  local is_logged = call.appended or call.marked
  if not (is_logged or call.mended) then
    if call.noted_streams then ff.announce_streams(call) end
    return
  end
  if is_logged then ff.close_log(call) else ff.forget_header(call) end
  ff.settle_queues(call)
  ff.announce_timers(call)
  if call.budgets then ff.leave_budgets(call) end
  if call.marks then ff.announce_log(call) end
end

local function handler_of(handlers, name)
  return handlers[name] or error({ err = 'ERR flowfabric: no such operation: ' .. tostring(name) })
end

-- The current group: the arguments that its commands share, once prepared; the index of its next command; how many
-- commands are left; how many of the call are answered; and whether the caller has to send the rest again. After a
-- command fails, the group continues from here.
local group, next_at, left, answered, is_cut = false, 0, 0, 0, false
-- Whether a command is being carried out: an error then leaves it half written.
local is_applying = false

-- Carries out a decision, and returns the answer.
local function carry_out(call, reply, apply, ...)
  if apply then
    if not call.may_log then ff.check_right_to_log(call) end
    is_applying = true
    apply(call, ...)
  end
  return reply
end

-- Runs the remaining commands of a group. First a command reads and decides, which can fail and writes nothing; then
-- the decision is carried out, which cannot fail.
local function run_commands(call, argv, replies, shape, heading)
  local shared, each, decide = shape[1], shape[2], shape[4]
  if shared > 0 and not group then group = shape[5](call, unpack(heading, 1, shared)) end
  while left > 0 do
    local at, length = next_at, each
    if not length then
      length = tonumber(argv[at])
      at = at + 1
    end
    next_at, left, answered = at + length, left - 1, answered + 1
    local reply
    if group then
      reply = carry_out(call, decide(call, group, unpack(argv, at, next_at - 1)))
    else
      reply = carry_out(call, decide(call, unpack(argv, at, next_at - 1)))
    end
    if call.ended_owners then ff.return_admissions(call) end
    is_applying = false
    replies[answered] = reply
    -- What a command costs can depend on what is stored, which its caller does not know.
    local is_full = call.work + answered >= LIMIT.max_call_units and (left > 0 or next_at <= #argv)
    if is_full or reply == LIMIT.not_staged then
      is_cut = true
      return
    end
  end
end

-- Answers every remaining command with the same error.
local function fail_group(argv, replies, each, reply)
  for _ = 1, left do
    next_at = next_at + (each or tonumber(argv[next_at]) + 1)
    answered = answered + 1
    replies[answered] = reply
  end
  left = 0
end

-- A function that accepts fewer texts than it takes: missing ones at the end are empty. The `first` arguments are no
-- texts.
local function filled_up(call_it, first, count)
  return function(...)
    local given, arguments = select('#', ...), { ... }
    for i = given + 1, first + count do arguments[i] = '' end
    return call_it(unpack(arguments, 1, first + count))
  end
end

local function refuse(name)
  return function() error({ err = 'MISMATCH of ' .. name }) end
end

-- How to run a group from a client of another build: the operation may have got optional arguments since, which are
-- then empty. Any other difference is a mismatch of each of its commands. Nothing when the text is no signature.
local function shape_of_other(signature)
  local name, hash, shared, each = string.match(signature, '^([%l_]+):(%x+):(%d+):([%d*]+)$')
  if not name then return nil end
  local shape = { tonumber(shared), tonumber(each) or false, name }
  local own = SIGNATURE[name]
  local own_hash, own_shared, own_each = string.match(own or '', ':(%x+):(%d+):([%d*]+)$')
  own_shared, own_each = tonumber(own_shared), tonumber(own_each) or false
  local fits = own and own_hash == hash and shape[1] <= own_shared and (shape[1] > 0) == (own_shared > 0)
    and (shape[2] == own_each or shape[2] and own_each and shape[2] <= own_each)
  if not fits then
    shape[4], shape[5] = refuse(name), refuse(name)
    return shape
  end
  shape[4] = shape[2] and filled_up(ff.decide[name], own_shared > 0 and 2 or 1, own_each) or ff.decide[name]
  shape[5] = own_shared > 0 and filled_up(ff.prepare[name], 1, own_shared)
  return shape
end

-- Parsed headings of groups, by their texts, which repeat.
local known_headings, headings_count = {}, 0

-- The number of commands of a group, and their shared arguments, line by line.
local function read_heading(text)
  local heading = {}
  for line in string.gmatch(text .. '\n', '([^\n]*)\n') do heading[#heading + 1] = line end
  heading.count = tonumber(table.remove(heading, 1)) or error({ err = 'MISMATCH of a group' })
  if #text <= LIMIT.known_heading_bytes then
    if headings_count == LIMIT.known_headings then known_headings, headings_count = {}, 0 end
    known_headings[text], headings_count = heading, headings_count + 1
  end
  return heading
end

-- The shapes of operations with their `decide` and `prepare`, by signature.
local shapes = {}

local function read_shape(signature)
  local own = SHAPE[signature]
  if not own then return shape_of_other(signature) or error({ err = 'MISMATCH of ' .. tostring(signature) }) end
  local shape = { own[1], own[2], own[3], ff.decide[own[3]], ff.prepare[own[3]] }
  shapes[signature] = shape
  return shape
end

-- Runs the group that starts at `next_at`: its signature, its heading, the texts of each command.
local function run_group(call, argv, replies)
  if call.stream then ff.settle_stream(call) end
  if call.returned then ff.settle_returned(call) end
  local signature, text = argv[next_at], argv[next_at + 1]
  local shape = shapes[signature] or read_shape(signature)
  local heading = known_headings[text] or read_heading(text)
  group, next_at, left = false, next_at + 2, heading.count
  call.completions = shape[3] == 'complete_execution' and heading.count
  call.records_steps = false
  while left > 0 and not is_cut do
    local ran, why = pcall(run_commands, call, argv, replies, shape, heading)
    if not ran then
      -- It may have failed in the middle of several changes.
      if is_applying then
        why = ff.break_off(call, why)
        is_applying = false
      end
      ff.settle_later(false)
      ff.leave_members_in_hand(call)
      call.records_steps = false
      if group or shape[1] == 0 then
        replies[answered] = ff.fault(why)
      else
        fail_group(argv, replies, shape[2], ff.fault(why))
      end
    end
  end
  ff.leave_members_in_hand(call)
end

local function run_groups(call, argv, replies)
  local last = #argv
  while next_at <= last and not is_cut do run_group(call, argv, replies) end
  settle_and_tell(call)
end

-- ARGV: what `ff.open_call` takes, then groups.
local function execute(keys, argv)
  local call, at = ff.open_call(keys, argv)
  local replies = {}
  call.gathers = #argv - at > LIMIT.gather_from_arguments
  next_at, answered, is_cut, is_applying = at, 0, false, false
  local ran, why = pcall(run_groups, call, argv, replies)
  -- An error before the first command, such as an unknown signature, leaves nothing.
  if not ran then error(answered > 0 and ff.break_off(call, why) or why) end
  if call.set_aside then replies[answered + 1] = call.set_aside end
  return replies
end

-- A server whose memory is full refuses new work and accepts everything that ends work: `advance` is the same function
-- for calls without creations.
server.register_function(LIBRARY.prefix .. 'execute', execute)
server.register_function({ function_name = LIBRARY.prefix .. 'advance', callback = execute, flags = { 'allow-oom' } })

-- KEYS[1] is the record of the deployment. ARGV: its text as the caller knows it, and its new text. Answers 1, or 0
-- when the record has another text: nothing was done.
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

local function bytes_in(reply)
  if type(reply) == 'string' then return #reply end
  if type(reply) ~= 'table' then return 0 end
  local bytes = 0
  for i = 1, #reply do bytes = bytes + bytes_in(reply[i]) end
  return bytes
end

-- The same for a page, which may be long. ARGV: what `ff.open_call` takes, the most bytes of the answer, then the read. In
-- place of a longer page: its number of bytes.
server.register_function({
  function_name = LIBRARY.prefix .. 'read_page',
  callback = function(keys, argv)
    local call, at = ff.open_call(keys, argv)
    local page = handler_of(ff.query, argv[at + 1])(call, unpack(argv, at + 2))
    local bytes = bytes_in(page)
    if bytes > tonumber(argv[at]) then return bytes end
    return page
  end,
  flags = { 'no-writes' },
})

local function verify(call, argv, at)
  local answer = ff.verify_step(call, unpack(argv, at))
  settle_and_tell(call)
  return answer
end

-- A step of `verifyPartition` (lua/partition/verify.lua). ARGV: what `ff.open_call` takes, then the name of the step
-- and its arguments. Answers the result of the step, and the names of records that it has set aside.
server.register_function({
  function_name = LIBRARY.prefix .. 'verify',
  callback = function(keys, argv)
    if not command then ff.bind() end
    local _, _, clock_end = ff.read_clock(argv)
    local at = clock_end + 1
    if argv[at] == 'types' then return { ff.mend_types(keys, argv, at + 1) } end
    local call = ff.open_call(keys, argv)
    ff.forget_header(call)
    local ran, answer = pcall(verify, call, argv, at)
    if not ran then error(ff.break_off_step(call, answer)) end
    return { answer, call.set_aside or nil }
  end,
  flags = { 'allow-oom' },
})

-- Answers the contract, the build and the content hash of this library, and the signatures of its operations.
server.register_function({
  function_name = LIBRARY.prefix .. 'version',
  callback = function()
    if not command then ff.bind() end
    local signatures = {}
    for _, signature in pairs(SIGNATURE) do signatures[#signatures + 1] = signature end
    return { LIBRARY.contract, LIBRARY.build, LIBRARY.hash, signatures }
  end,
  flags = { 'no-writes', 'allow-stale' },
})
