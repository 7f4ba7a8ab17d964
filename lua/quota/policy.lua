-- What is stored of a quota policy: its record, and beside it the slots (a hash of holders, and the times of their
-- checks), the window and the waiting claimers. The twins of model/quota/entity.ts, room.ts and due.ts.

local load = ff.record('quota_policy', 'limits', 'use')

local function number_of(text)
  return tonumber(text) or 0
end

-- The answer about a key beside a policy. An error is damage of this policy alone.
local function of_policy(answer)
  if type(answer) == 'table' then ff.damaged('what is beside it has the wrong type') end
  return answer
end

-- Prepares a policy for decisions, after checking all keys that are written.
local function opened(call, policy, id)
  local key = call.base .. QUOTA_POLICY.key .. id
  policy.id, policy.key = id, key
  policy.slots, policy.checks = key .. QUOTA_SUFFIX.slots, key .. QUOTA_SUFFIX.checks
  policy.window, policy.waiters = key .. QUOTA_SUFFIX.window, key .. QUOTA_SUFFIX.waiters
  policy.window_ms, policy.max_requests = number_of(policy.window_ms), number_of(policy.max_requests)
  policy.concurrency_cap, policy.jitter_ms = number_of(policy.concurrency_cap), number_of(policy.jitter_ms)
  policy.slot_ttl_ms, policy.keyed = tonumber(policy.slot_ttl_ms), policy.keyed == '1'
  policy.held = of_policy(guarded('HLEN', policy.slots))
  of_policy(guarded('ZCARD', policy.checks))
  -- Older entries have left the window.
  policy.bound = ff.digits(call.now - policy.window_ms)
  policy.live = policy.max_requests > 0 and of_policy(guarded('ZCOUNT', policy.window, '(' .. policy.bound, '+inf')) or 0
  of_policy(guarded('HLEN', policy.waiters))
  ff.timers_of(call)
  return policy
end

-- A policy, or nil.
function ff.quota_of(call, id)
  local policy = load(call, id)
  if not policy then return nil end
  ff.read_quota_policy_limits(policy)
  ff.read_quota_policy_use(policy)
  return opened(call, policy, id)
end

-- A policy that this call creates with these limits.
function ff.new_quota(call, id, limits)
  local policy = { limits = limits .. '\t' .. call.now_text, last_used_at = call.now_text }
  ff.read_quota_policy_limits(policy)
  return opened(call, policy, id)
end

-- The holders of these admissions; false in the place of one without a slot.
function ff.holders_of(policy, ids)
  return command('HMGET', policy.slots, unpack(ids))
end

-- How many more admissions the rate and the cap allow.
function ff.quota_room(policy)
  local rate = policy.max_requests > 0 and policy.max_requests - policy.live or math.huge
  local cap = policy.concurrency_cap > 0 and policy.concurrency_cap - policy.held or math.huge
  return rate, cap
end

-- Slots whose check is later than any that is set now: they were taken before the clock stepped back.
function ff.misdated_slots(call, policy)
  local latest = ff.digits(call.now + math.max(policy.slot_ttl_ms, LIMIT.slot_check_ms))
  return command('ZRANGEBYSCORE', policy.checks, '(' .. latest, '+inf', 'LIMIT', 0, LIMIT.slots_per_check)
end

-- When the rate has room again, ms from now.
function ff.rate_retry_ms(call, policy)
  local first = command('ZRANGEBYSCORE', policy.window, '(' .. policy.bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return first and math.max(0, tonumber(first) + policy.window_ms - call.now) or 0
end

-- The waiting claimers that have not expired, in turn, and the names of the expired ones.
local function waiters_of(call, policy)
  local entries, live, over = command('HGETALL', policy.waiters), {}, {}
  for i = 1, #entries, 2 do
    local since, wanted, expires_at = string.match(entries[i + 1], '^(%d+)\t(%d+)\t(%d+)$')
    if not since then ff.damaged('a waiting claimer is unreadable') end
    local waiter = { name = entries[i], since = tonumber(since), wanted = tonumber(wanted) }
    if tonumber(expires_at) > call.now then live[#live + 1] = waiter else over[#over + 1] = entries[i] end
  end
  table.sort(live, function(a, b)
    if a.since ~= b.since then return a.since < b.since end
    return ff.is_before(a.name, b.name)
  end)
  return live, over
end

function ff.count_waiters(call, policy)
  return #waiters_of(call, policy)
end

-- Whether a claimer may wait; one that waits already always may.
function ff.may_wait(call, policy, name)
  local live = waiters_of(call, policy)
  for i = 1, #live do
    if live[i].name == name then return true end
  end
  return #live < LIMIT.max_quota_waiters
end

-- The claimers to wake for this much room, and the expired ones to remove.
function ff.fitting(call, policy, room)
  local live, over = waiters_of(call, policy)
  local woken, at = {}, 1
  while room > 0 and live[at] do
    woken[at] = live[at]
    room = room - live[at].wanted
    at = at + 1
  end
  return woken, over
end

local function trim(policy)
  command('ZREMRANGEBYSCORE', policy.window, '-inf', policy.bound)
end

-- Writes the timer of a policy.
local function timer_at(policy)
  local at = tonumber(command('ZRANGE', policy.checks, 0, 0, 'WITHSCORES')[2])
  if policy.max_requests > 0 and command('ZCARD', policy.window) >= policy.max_requests
    and command('HLEN', policy.waiters) > 0 then
    local moves_at = tonumber(command('ZRANGE', policy.window, 0, 0, 'WITHSCORES')[2]) + policy.window_ms
    if not at or moves_at < at then at = moves_at end
  end
  if policy.keyed and command('HLEN', policy.slots) == 0 then
    local forgotten_at = tonumber(policy.last_used_at) + policy.window_ms + LIMIT.idle_quota_ms
    if not at or forgotten_at < at then at = forgotten_at end
  end
  return at
end

local function set_timer(call, policy)
  local at = timer_at(policy)
  local timers, member = ff.timers_of(call), TIMER.quota_policy .. policy.id
  if at then
    local text = ff.digits(at)
    ff.add_noted(timers, text, at, member, text)
  else
    ff.remove(timers, member)
  end
end

local function used(call, policy)
  policy.last_used_at = call.now_text
  command('HSET', policy.key, QUOTA_POLICY.use, call.now_text)
end

-- Removes claimers that are woken or have expired. Answers the names of the woken ones.
local function forget_waiters(policy, woken, over)
  local names = {}
  for i = 1, #woken do names[i] = woken[i].name end
  if #names > 0 then command('HDEL', policy.waiters, unpack(names)) end
  if #over > 0 then command('HDEL', policy.waiters, unpack(over)) end
  return table.concat(names, '\n')
end

-- Wakes claimers.
local function wake(call, woken)
  for i = 1, #woken do
    local lane_id, partition, meters, instance = string.match(woken[i].name, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$')
    if lane_id then
      ff.publish(call, CHANNEL.work .. lane_id,
        partition .. '\t' .. LIMIT.admit .. '\t' .. meters .. '\t' .. instance .. '\t' .. ff.digits(woken[i].wanted))
    end
  end
end

function ff.apply.quota_policy_created(call, policy)
  command('HSET', policy.key, QUOTA_POLICY.limits, policy.limits, QUOTA_POLICY.use, call.now_text)
  set_timer(call, policy)
  ff.append(call, EVENT.quota_policy_created, policy.id, string.match(policy.limits, '^(.*)\t[^\t]*$'), '')
end

-- The last id first, see `ff.add_many`.
function ff.apply.quota_admitted(call, policy, holder, ids)
  trim(policy)
  local check_at = ff.digits(call.now + policy.slot_ttl_ms)
  local slots, checks, window = {}, {}, {}
  for i = 1, #ids do
    local size, id = 2 * i, ids[#ids + 1 - i]
    slots[size - 1], slots[size] = id, holder
    checks[size - 1], checks[size] = check_at, id
    window[size - 1], window[size] = call.now_text, id
  end
  command('HSET', policy.slots, unpack(slots))
  command('ZADD', policy.checks, unpack(checks))
  if policy.max_requests > 0 then command('ZADD', policy.window, unpack(window)) end
  used(call, policy)
  set_timer(call, policy)
  ff.append(call, EVENT.quota_admitted, policy.id, holder .. '\t' .. table.concat(ids, ','), '')
end

function ff.apply.quota_refused(call, policy, waiter, over)
  trim(policy)
  if #over > 0 then command('HDEL', policy.waiters, unpack(over)) end
  command('HSET', policy.waiters, waiter.name, call.now_text .. '\t' .. waiter.wanted .. '\t' .. waiter.expires_at)
  used(call, policy)
  set_timer(call, policy)
  ff.append(call, EVENT.quota_refused, policy.id, waiter.wanted .. '\t' .. waiter.expires_at, waiter.name)
end

function ff.apply.quota_released(call, policy, ids, unused, woken, over)
  command('HDEL', policy.slots, unpack(ids))
  command('ZREM', policy.checks, unpack(ids))
  if unused ~= '' then command('ZREM', policy.window, unpack(ids)) end
  used(call, policy)
  trim(policy)
  local names = forget_waiters(policy, woken, over)
  set_timer(call, policy)
  ff.append(call, EVENT.quota_released, policy.id, unused .. '\t' .. table.concat(ids, ','), names)
  wake(call, woken)
end

function ff.apply.quota_slots_checked(call, policy, ids)
  local check_at = ff.digits(call.now + LIMIT.slot_check_ms)
  local checks = {}
  for i = 1, #ids do checks[2 * i - 1], checks[2 * i] = check_at, ids[i] end
  command('ZADD', policy.checks, unpack(checks))
  set_timer(call, policy)
  ff.append(call, EVENT.quota_slots_checked, policy.id, table.concat(ids, ','), '')
end

function ff.apply.quota_window_moved(call, policy, woken, over)
  trim(policy)
  local names = forget_waiters(policy, woken, over)
  set_timer(call, policy)
  ff.append(call, EVENT.quota_window_moved, policy.id, names, '')
  wake(call, woken)
end

function ff.apply.quota_policy_forgotten(call, policy)
  command('UNLINK', policy.key, policy.slots, policy.checks, policy.window, policy.waiters)
  ff.remove(ff.timers_of(call), TIMER.quota_policy .. policy.id)
  ff.append(call, EVENT.quota_policy_forgotten, policy.id)
end

-- Whether the window was full, claimers wait, and the window has moved.
local function has_moved(call, policy)
  if policy.max_requests == 0 or command('HLEN', policy.waiters) == 0 then return false end
  if command('ZCARD', policy.window) < policy.max_requests then return false end
  return tonumber(command('ZRANGE', policy.window, 0, 0, 'WITHSCORES')[2]) + policy.window_ms <= call.now
end

function ff.due.quota_policy(call, id)
  local policy = ff.quota_of(call, id) or ff.damaged('the policy is missing')
  local overdue = command('ZRANGEBYSCORE', policy.checks, '-inf', call.now_text, 'LIMIT', 0, LIMIT.slots_per_check)
  if #overdue > 0 then
    local owed = {}
    for i = 1, #overdue do
      local holder = command('HGET', policy.slots, overdue[i]) or ff.damaged('a slot is missing')
      owed[i] = overdue[i] .. '\t' .. holder
    end
    return { entity = policy, apply = ff.apply.quota_slots_checked, a = overdue, owed = owed }
  end
  if has_moved(call, policy) then
    local woken, over = ff.fitting(call, policy, math.min(ff.quota_room(policy)))
    return { entity = policy, apply = ff.apply.quota_window_moved, a = woken, b = over }
  end
  local at = timer_at(policy)
  if not at or at > call.now then return { entity = policy, apply = set_timer } end
  return { entity = policy, apply = ff.apply.quota_policy_forgotten }
end

-- Sets the correct timer of a policy, for `verifyPartition`. Answers 1 when it had another one.
function ff.verify_quota(call, id)
  local policy = ff.quota_of(call, id)
  if not policy then return 0 end
  local at = timer_at(policy)
  if command('ZSCORE', call.timers_key, TIMER.quota_policy .. id) == (at and ff.digits(at) or false) then return 0 end
  set_timer(call, policy)
  return 1
end
