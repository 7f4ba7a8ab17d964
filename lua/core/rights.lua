-- Which commands the caller may not run: asked when a backend opens, so that a missing right is named then and not met
-- by a command half of whose work is done.

-- ARGV: per command the count of its words, and these. Answers the numbers of those that are refused, the first is 1.
server.register_function({
  function_name = LIBRARY.prefix .. 'rights',
  callback = function(_, argv)
    -- It can be the first call of all.
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
