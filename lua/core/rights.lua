-- Commands that the caller has no right to run: checked when a backend opens, so that a missing right is reported then,
-- and not in the middle of a command's writes.

-- ARGV: for each command the number of its words, then the words. Answers the numbers of the commands that are refused,
-- from 1.
server.register_function({
  function_name = LIBRARY.prefix .. 'rights',
  callback = function(_, argv)
    -- It can be the first call of the server.
    ff.bind()
    local refused = {}
    local at, number = 1, 0
    while at <= #argv do
      local last = at + argv[at]
      number = number + 1
      local known, allowed = pcall(server.acl_check_cmd, unpack(argv, at + 1, last))
      if not (known and allowed) then refused[#refused + 1] = number end
      at = last + 1
    end
    return refused
  end,
  flags = { 'no-writes', 'allow-stale' },
})
