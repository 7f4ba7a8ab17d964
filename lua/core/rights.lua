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

-- Raises the refusal that a command would meet, while nothing is written.
local function check_right(call, name)
  if server.acl_check_cmd(name, call.log_key, call.log_key) then return end
  error({ err = "ERR ACL failure in script: User has no permissions to run the '" .. string.lower(name) .. "' command" })
end

-- What cannot be logged is not written: readers of the log would never learn of it.
function ff.check_right_to_log(call)
  check_right(call, 'XADD')
  call.may_log = true
end

-- What writes a flow, its members and their edges, also on the rare ways: a leaf of an index is split.
local OF_FLOWS = {
  'DEL', 'EXISTS', 'GET', 'HDEL', 'HEXISTS', 'HGET', 'HGETALL', 'HINCRBY', 'HKEYS', 'HLEN', 'HMGET', 'HSET', 'LLEN',
  'LPOS', 'LRANGE', 'LREM', 'MGET', 'MSET', 'PERSIST', 'RENAME', 'RPUSH', 'SADD', 'SCARD', 'SET', 'SMEMBERS',
  'SREM', 'STRLEN', 'UNLINK', 'XADD', 'ZADD', 'ZCARD', 'ZRANGE', 'ZRANGEBYLEX', 'ZRANGEBYSCORE', 'ZREM',
  'ZREMRANGEBYRANK', 'ZREVRANGEBYLEX', 'ZREVRANGEBYSCORE', 'ZSCORE',
}

-- For what is written to many keys, of which the last one makes it complete: a right that is missing in the middle would
-- leave it half written for good.
function ff.check_rights_to_flows(call)
  for i = 1, #OF_FLOWS do check_right(call, OF_FLOWS[i]) end
end
