-- apply_due: see model/schedule/apply-due.ts

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'timing', 'retries', 'rules', 'wait', 'grant',
  'failure_detail', 'streams')
local load_for_purge = ff.loader('naming', 'own', 'fence', 'tags', 'streams')

-- The event for each kind of due step.
local EVENT_OF = { delay = 'execution_promoted', lease = 'lease_expired', grant = 'grant_lapsed' }

local JITTER_STEPS = 1000

-- An execution's share of one drawn factor; the twin of `jitterOf`.
local function jitter_of(id, jitter)
  if not jitter then return nil end
  local step = (string.byte(id, 19) * 61 + string.byte(id, 20) * 31 + string.byte(id, 21) * 17) % JITTER_STEPS
  local moved = jitter + step / JITTER_STEPS
  if moved > 1 then moved = moved - 1 end
  return moved
end

local function expire_waitpoints(call, execution, kept, lapsed)
  for i = 1, #lapsed do ff.apply.pending_waitpoint_expired(call, execution, kept, lapsed[i]) end
end

-- Makes the step for an entity whose timer is due, by its kind. A step has `apply`, which is called with the call,
-- `entity`, `a`, `b` and `c`, and for executions the kind of their timer. It is made before anything is written, and
-- can fail.
function ff.due.execution(call, id, jitter)
  local execution = load(call, id) or ff.damaged('the record is missing')
  if execution.naming == '' then ff.damaged('naming is missing') end
  ff.read_timing(execution)
  ff.read_bounds(execution)
  ff.read_grant(execution)
  local kind, at = ff.next_timer(execution)
  if not kind then ff.damaged(LIMIT.stray_timer) end
  -- A call that broke off behind the record left the timer at its old time.
  if at > call.now then return { entity = execution, kind = 'moved', apply = ff.set_timer } end
  local step = { entity = execution, kind = kind }
  if kind == 'execution_deadline' or kind == 'attempt_timeout' then
    if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
    step.apply, step.a, step.b, step.c = ff.timed_out(call, execution, kind, jitter_of(id, jitter))
    return step
  end
  if kind == 'suspension' then
    step.apply, step.a, step.b = ff.suspension_timeout(call, execution)
    return step
  end
  if kind == 'waitpoint' then
    step.apply = expire_waitpoints
    step.a, step.b = ff.lapsed_pending(call, execution)
    return step
  end
  ff.check_queue_of(call, execution)
  if kind == 'lease' then ff.check_stream(call, execution) end
  step.apply = ff.apply[EVENT_OF[kind]]
  return step
end

-- Units of work of a step for an execution; the twin of `unitsOf`.
local function units_of(step)
  local execution = step.entity
  local closed = execution.suspension
  if step.kind == 'suspension' and step.apply ~= ff.apply.suspension_escalated then closed = step.a end
  return (step.kind == 'waitpoint' and #step.b or 1) + (execution.kept and #execution.kept.pending or 0)
    + (closed and LIMIT.suspension_units + #closed.waitpoints or 0)
end

local function purge_step(call, id, purge_at)
  local execution = load_for_purge(call, id)
  -- An entry of the list counts only while the record's purge time names its slot, and for no member of a flow.
  if not execution or not ff.is_terminal(execution.situation) or execution.due_at ~= purge_at then return nil end
  if ff.is_member(execution) then return nil end
  ff.check_ids(call, id)
  ff.check_streams(call, execution)
  return { entity = execution, kind = 'purge', apply = ff.apply.execution_purged }
end

local function due_step(call, member, jitter, limit)
  local kind, id = string.match(member, '^([%a_]+):(.*)$')
  local make = ff.due[kind] or ff.damaged('no such kind has timers')
  local step = make(call, id, jitter, limit)
  if kind == 'execution' then
    step.units = units_of(step)
  elseif step then
    step.of_other, step.id, step.units = kind, id, 1
  end
  return step
end

-- Makes a step, or sets the entity aside; `member` is its name in the timers index.
local function try(steps, broken, member, make, call, ...)
  local ran, step = pcall(make, call, ...)
  if not ran then
    ff.contain(step)
    broken[#broken + 1] = { member = member, why = step }
  elseif step then
    steps[#steps + 1] = step
  end
end

-- Makes the steps for what is due, as long as there are units of work, at least one. Answers the place in `due` at which
-- it stopped, if it did.
local function due_steps(call, due, units, jitter, steps, broken)
  local left = units
  for i = 1, #due do
    local before = #steps
    try(steps, broken, due[i], due_step, call, due[i], jitter, units)
    local step = before < #steps and steps[#steps]
    left = left - (step and step.units or 1)
    if step and left < 0 and i > 1 then
      steps[#steps] = nil
      return i
    end
  end
end

-- Steps that purge executions after their retention, and how much of each slot they are; then whether more may be due.
local function purges(call, units, steps, broken)
  local limit = math.max(1, math.floor(units / LIMIT.purge_units))
  local slots = command('ZRANGEBYSCORE', call.base .. KEY.retention, '-inf', call.now_text, 'LIMIT', 0, limit)
  local used = {}
  -- An execution that was replayed and ended again in the same minute is in its slot twice.
  local seen = {}
  local looked_at = 0
  for i = 1, #slots do
    local room = limit - looked_at
    if room <= 0 then break end
    local key = call.base .. KEY.slot .. slots[i]
    local ids = command('LRANGE', key, 0, room - 1)
    for j = 1, #ids do
      if not seen[ids[j]] then
        seen[ids[j]] = true
        local before = #steps
        try(steps, broken, TIMER.execution .. ids[j], purge_step, call, ids[j], slots[i])
        local step = before < #steps and steps[#steps]
        if step then units = units - ff.units_of_purge(step.entity) end
        if step and units < 0 and before > 0 then
          steps[#steps] = nil
          used[i] = { key = key, at = slots[i], count = j - 1 }
          return used, true
        end
      end
    end
    looked_at = looked_at + #ids
    used[i] = { key = key, at = slots[i], count = #ids }
  end
  return used, looked_at >= limit
end

local function leave_slots(call, used)
  call.slot_at = false
  for i = 1, #used do
    local slot = used[i]
    command('LTRIM', slot.key, slot.count, -1)
    if command('EXISTS', slot.key) == 0 then command('ZREM', call.base .. KEY.retention, slot.at) end
  end
end

-- The earliest time at which anything is due, when the loop looks again. Of a loop with a filter, the timers that are
-- due by now are behind it.
local function next_due_at(call, is_filtered)
  local first = is_filtered
    and command('ZRANGEBYSCORE', call.timers_key, '(' .. call.now_text, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    or command('ZRANGE', call.timers_key, 0, 0, 'WITHSCORES')
  local timer = tonumber(first[2])
  local slot = tonumber(command('ZRANGE', call.base .. KEY.retention, 0, 0)[1])
  local at = timer and slot and math.min(timer, slot) or timer or slot
  ff.note_look(call, at)
  return ff.text_of(at)
end

-- `turn` is the loop to which the rest is left, false for none; nothing when the loop takes no turns.
local function carry_out(call, reply, steps, broken, used, turn, was_left)
  local timers = ff.timers_of(call)
  local purged = {}
  ff.settle_later(true)
  for i = 1, #steps do
    local step = steps[i]
    step.apply(call, step.entity, step.a, step.b, step.c)
    if step.kind == 'purge' then purged[#purged + 1] = step.entity end
  end
  ff.settle_later(false)
  for i = 1, #broken do
    local member = broken[i].member
    ff.remove(timers, member)
    ff.quarantine(call, member, broken[i].why)
  end
  ff.leave_quarantine(call, purged)
  leave_slots(call, used)
  if turn then
    command('HSET', call.header_key, HEADER.applier, turn .. '\t' .. ff.digits(call.now + LIMIT.applier_ms))
  elseif was_left and turn == false then
    command('HDEL', call.header_key, HEADER.applier)
  end
  -- Ended ownerships have timers too.
  if call.ended_owners then ff.return_admissions(call) end
  ff.settle_all(call)
  reply[2] = next_due_at(call, turn == nil)
end

-- Counts, then the names that the caller's side needs. The first place is for the time of the next due work.
local function reply_of(steps, broken, after)
  local counts = { delay = 0, lease = 0, grant = 0, waitpoint = 0, purge = 0, moved = 0 }
  local timed_out, expired, suspended, others, deliveries = {}, {}, {}, {}, {}
  for i = 1, #steps do
    local step = steps[i]
    if step.of_other then
      others[step.of_other] = (others[step.of_other] or 0) + 1
      for j = 1, step.owed and #step.owed or 0 do
        local size = #deliveries
        deliveries[size + 1], deliveries[size + 2], deliveries[size + 3] = step.of_other, step.id, step.owed[j]
      end
      counts.purge = counts.purge + (step.purged or 0)
    elseif step.kind == 'suspension' then
      suspended[#suspended + 1] = step.entity.id
      suspended[#suspended + 1] = WORDS.behavior_word[step.a.timeout_behavior]
    elseif counts[step.kind] then
      counts[step.kind] = counts[step.kind] + (step.kind == 'waitpoint' and #step.b or 1)
    elseif step.apply == ff.apply.retry_scheduled then
      timed_out[#timed_out + 1] = step.entity.id
    else
      expired[#expired + 1] = step.entity.id
      expired[#expired + 1] = step.a
    end
  end
  local aside = {}
  for i = 1, #broken do aside[i] = broken[i].member end
  local tally = {}
  for kind, count in pairs(others) do
    tally[#tally + 1] = kind
    tally[#tally + 1] = ff.digits(count)
  end
  return { KIND.applied, '', counts.delay, counts.lease, counts.grant, counts.waitpoint, counts.purge, timed_out, expired, suspended,
    tally, deliveries, aside, after }
end

local function is_of_flow(member) return string.sub(member, 1, #TIMER.flow) == TIMER.flow end

-- What is due, and whether flows are left behind it; the twin of `beforeFlows`.
local function before_flows(call, limit)
  local due = command('ZRANGEBYSCORE', call.timers_key, '-inf', call.now_text, 'LIMIT', 0, limit)
  if not due[1] or not is_of_flow(due[1]) then return due, false end
  local others, from = {}, '-inf'
  for _ = 1, LIMIT.looks_past_flows do
    local some = command('ZRANGEBYSCORE', call.timers_key, from, call.now_text, 'LIMIT', 0, LIMIT.max_page_size)
    for i = 1, #some do
      if not is_of_flow(some[i]) then others[#others + 1] = some[i] end
      if #others == limit then break end
    end
    if others[1] then return others, true end
    if not some[tonumber(LIMIT.max_page_size)] then break end
    -- Thousands of flows are purged from the end of one minute on: the look goes on behind them.
    from = '(' .. command('ZSCORE', call.timers_key, some[#some])
  end
  return due, false
end

function ff.decide.apply_due(call, limit, jitter, owner, filtered)
  local header = command('HMGET', call.header_key, HEADER.applier, HEADER.broken)
  local applier = header[1]
  if header[2] then ff.tell_broken(call) end
  if applier and filtered == '' then
    local other, until_at = string.match(applier, '^(.*)\t(%d+)$')
    -- A time further ahead was written before the clock stepped back.
    local ahead_ms = other and tonumber(until_at) - call.now or 0
    if other ~= owner and ahead_ms > 0 and ahead_ms <= LIMIT.applier_ms then
      ff.note_look(call, tonumber(until_at))
      return { KIND.left_to_other, until_at }
    end
  end
  limit, jitter = tonumber(limit), tonumber(jitter)
  local steps, broken, used = {}, {}, {}
  ff.timers_of(call)
  command('ZCARD', call.base .. KEY.retention)
  ff.settle_all(call)
  local due, is_more, after, passed
  if filtered == '' then
    local leaves_flows
    due, leaves_flows = before_flows(call, limit)
    is_more = ff.of_one_pass(due) or leaves_flows or #due == limit
  else
    due, is_more, after, passed = ff.filtered_due(call, filtered, limit)
  end
  local cut_at = due_steps(call, due, limit, jitter, steps, broken)
  if cut_at then
    is_more = true
    if passed then after = passed[cut_at] end
  end
  if filtered ~= '' and not (is_more or #due > 0) then after = nil end
  if #due == 0 and not is_more then
    used, is_more = purges(call, limit, steps, broken)
  end
  if #broken > 0 then ff.check_quarantine(call) end
  local reply = reply_of(steps, broken, after)
  local turn = nil
  if filtered == '' then turn = is_more and owner end
  return reply, carry_out, reply, steps, broken, used, turn, applier ~= false
end
