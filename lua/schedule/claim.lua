-- claim_for_worker: see model/schedule/claim.ts
--
-- Everything is read before anything is written: the queues, and the executions that they name.

local load_first = ff.refilling_loader('naming', 'given', 'bounds', 'tags', 'rules', 'membership', 'input')

-- The type of attempt that a claim starts; empty for an initial one.
local PENDING_TYPE = { [NEXT.retry] = ATTEMPT.retry, [NEXT.replay] = ATTEMPT.replay }

-- Most queues that are read without asking which of them have work.
local FEW_KINDS = 4

-- The tokens of a list, as a set.
function ff.tokens_of(text, pattern)
  local tokens = {}
  for token in string.gmatch(text, pattern) do tokens[token] = true end
  return tokens
end

local function set_of(list)
  local set = {}
  for i = 1, #list do set[list[i]] = true end
  return set
end

-- Whether the offered tokens include all needed ones.
function ff.covers(offered, needs)
  for token in string.gmatch(needs, '[^,]+') do
    if not offered[token] then return false end
  end
  return true
end

local function count_of(set)
  local count = 0
  for _ in pairs(set) do count = count + 1 end
  return count
end

-- Queues that commands of this call have filled are not listed yet.
local function add_opened(call, lane_id, names)
  local listed
  for _, queue in pairs(call.indexes) do
    if queue.new_score and queue.lane_id == lane_id and not ff.meters_of(queue.needs) then
      listed = listed or set_of(names)
      if not listed[queue.name] then names[#names + 1] = queue.name end
    end
  end
end

-- Metered queues of a lane and a meter set with work, including those that commands of this call have filled, as needs
-- and kinds.
local function metered_queues(call, lane_id, meters)
  local places = command('ZRANGEBYLEX', call.base .. KEY.metered .. lane_id, '[' .. meters .. '\t', '(' .. meters .. '\n')
  local listed, found = set_of(places), {}
  for _, queue in pairs(call.indexes) do
    if queue.new_score and queue.lane_id == lane_id and ff.meters_of(queue.needs) == meters then
      local kind = string.match(queue.name, '[^\t]*$')
      if not listed[ff.metered_place(queue.needs, kind)] then found[#found + 1] = { needs = queue.needs, kind = kind } end
    end
  end
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    if needs then found[#found + 1] = { needs = needs, kind = kind } end
  end
  return found
end

-- The queues of a lane and a meter set that a worker can serve.
local function served_metered(call, group)
  local wanted = group.kinds ~= '' and ff.tokens_of(group.kinds, '[^\t]+')
  local offered, queues = ff.tokens_of(group.capabilities, '[^,]+'), {}
  local found = metered_queues(call, group.lane_id, group.meters)
  for i = 1, #found do
    local needs, kind = found[i].needs, found[i].kind
    if (not wanted or wanted[kind]) and ff.covers(offered, ff.capabilities_of(needs)) then
      queues[#queues + 1] = ff.queue_of(call, group.lane_id, needs, kind)
    end
  end
  return queues
end

-- The queues of a lane that a worker can serve.
local function served_queues(call, lane_id, capabilities, kinds)
  local queues = {}
  local wanted = kinds ~= '' and ff.tokens_of(kinds, '[^\t]+')
  if wanted and capabilities == '' and count_of(wanted) <= FEW_KINDS then
    for kind in string.gmatch(kinds, '[^\t]+') do queues[#queues + 1] = ff.queue_of(call, lane_id, '', kind) end
    return queues
  end
  local offered = ff.tokens_of(capabilities, '[^,]+')
  local names = command('SMEMBERS', call.base .. KEY.queues .. lane_id)
  add_opened(call, lane_id, names)
  for i = 1, #names do
    local needs, kind = string.match(names[i], '^([^\t]*)\t(.*)$')
    if needs and (not wanted or wanted[kind]) and ff.covers(offered, needs) then
      queues[#queues + 1] = ff.queue_of(call, lane_id, needs, kind)
    end
  end
  return queues
end

-- Facts that the claims of a group share: one table for all groups, which run one after another.
local offer = {}

function ff.prepare.claim_for_worker(call, worker, lane_id, worker_capabilities, kinds, lease_ttl_ms, ahead, min_priority, meters)
  local expiry = call.now + lease_ttl_ms
  local expires_at = ff.digits(expiry)
  offer.worker, offer.worker_fits = worker, #worker <= LIMIT.max_field_bytes
  offer.expiry, offer.expires_at, offer.lease = expiry, expires_at, worker .. '\t' .. expires_at
  offer.ahead, offer.lane_id, offer.capabilities, offer.kinds = ahead == '1', lane_id, worker_capabilities, kinds
  offer.meters = meters
  offer.bound = min_priority ~= '' and call.now - min_priority * LIMIT.priority_step
  offer.first_life = ff.life_text(SITUATION.running, '', expires_at, call.now_text, call.now_text, '1', '')
  -- The only queue, and whether the claim leaves entries in it.
  offer.queue, offer.leaves_some, offer.take = false, false, false
  return offer
end

-- The order of a queue, for entries of several.
function ff.by_position(a, b)
  if a.score ~= b.score then return a.score < b.score end
  return ff.is_before(a.id, b.id)
end

-- The only queue that a worker can serve, if that is known without a read.
local function only_queue(call, group)
  local kinds = group.kinds
  if group.capabilities ~= '' or kinds == '' or group.meters ~= '' or string.find(kinds, '\t', 1, true) then return nil end
  return ff.queue_of(call, group.lane_id, '', kinds)
end

-- The best work that an offer can take, at most `limit`, in the order of scores. Answers ids; the queue, if only one
-- was read; otherwise the queue of each id; and the id of the first work that a bounded claim left, if any.
local function candidates(call, group, limit)
  -- An earlier command of the call may have created a queue, or removed its last entry.
  local only = only_queue(call, group)
  local queues
  if only then
    queues = { only }
  elseif group.meters ~= '' then
    queues = served_metered(call, group)
  else
    queues = served_queues(call, group.lane_id, group.capabilities, group.kinds)
  end
  if not group.bound and #queues == 1 then
    local queue = queues[1]
    -- One more entry tells whether the claim leaves any.
    local ids = ff.head_of(queue, limit + 1)
    group.leaves_some, group.queue = ids[limit + 1] ~= nil, queue
    ids[limit + 1] = nil
    return ids, queue
  end
  local heads = {}
  for i = 1, #queues do
    local queue = queues[i]
    ff.settle(queue)
    local entries = command('ZRANGE', queue.key, 0, limit - 1, 'WITHSCORES')
    for j = 1, #entries, 2 do heads[#heads + 1] = { id = entries[j], score = tonumber(entries[j + 1]), queue = queue } end
  end
  table.sort(heads, ff.by_position)
  local ids, of = {}, {}
  for i = 1, math.min(limit, #heads) do
    if group.bound and heads[i].score > group.bound then return ids, nil, of, heads[i].id end
    ids[i], of[i] = heads[i].id, heads[i].queue
  end
  return ids, nil, of
end

-- Bytes of the input. Needs given loaded.
local function input_bytes_of(execution) return tonumber(string.match(execution.given, '^[^\t]*\t(%d+)')) end

-- Loads an input that is not in the record. Work whose input is lost cannot run. Long inputs are left in their keys for
-- their owner to read; `leaves`: all of them, and the client fetches short ones beside this call.
function ff.load_input(execution, leaves)
  local key = execution.key .. SUFFIX.input
  local bytes = input_bytes_of(execution)
  if leaves or bytes and bytes > LIMIT.max_claimed_input_bytes then
    if guarded('STRLEN', key) ~= bytes then ff.damaged('the input is missing') end
    execution.input = false
    return
  end
  local input = guarded('GET', key)
  if type(input) ~= 'string' then ff.damaged('the input is missing') end
  execution.input = input
end

-- Facets that only work with earlier attempts, or with more than every execution has, needs.
local function load_rest(execution, queue)
  execution.queue, execution.needs = queue, queue.needs
  if execution.total_attempt_count == '' then
    execution.fence, execution.retries, execution.timing, execution.progress, execution.streams = '', '', '', '', ''
    return
  end
  local key, extras = execution.key, execution.extras
  execution.fence = ff.found_extra(key, FIELD.fence, command('HGET', key, FIELD.fence))
  execution.retries, execution.timing = ff.load_extra(key, extras, FIELD.retries), ff.load_extra(key, extras, FIELD.timing)
  execution.progress, execution.streams = ff.load_extra(key, extras, FIELD.progress), ff.load_extra(key, extras, FIELD.streams)
end

-- Whether a lapsed execution has been reclaimed as often as allowed: by its policy, or by `or_cap`. `lapses` counts it
-- as lapsed. Needs retries and rules.
function ff.exceeds_reclaim_cap(execution, or_cap, lapses)
  if not (lapses or ff.is_reclaimable(execution.situation)) then return false end
  ff.read_retries(execution)
  local cap = ff.rules(execution.rules).max_reclaim_count or or_cap or LIMIT.default_max_reclaim_count
  return ff.count(execution.lease_reclaim_count) >= cap
end

local function timing_of(timeout_at, remaining_ms)
  if timeout_at == '' and remaining_ms == '' then return '' end
  return ff.timing_text(timeout_at, remaining_ms, '')
end

-- Whether the owner has to read the input, because it is too long for a claim. Needs the input loaded.
local function is_fetched(execution)
  return execution.input == false and input_bytes_of(execution) > LIMIT.max_claimed_input_bytes
end

-- Whether the owner has something to read before the handler can be called: the input, or results of upstreams. A claim
-- by id brings no results.
local function is_incomplete(execution, given)
  if is_fetched(execution) then return true end
  if given then return given.is_more end
  return string.find(execution.extras, FIELD.group, 1, true) ~= nil
end

-- The end of an attempt with this timeout that starts now, or the stored remaining time of one that begins later: it was
-- claimed ahead, or its owner has something to read.
local function times_of(call, group, execution, time_ms, given)
  if not time_ms then return '', '' end
  if group.ahead or is_incomplete(execution, given) then return '', ff.digits(time_ms) end
  return ff.digits(call.now + time_ms), ''
end

-- What a worker gets of an execution without earlier attempts, and with the results that the claim brings, if any.
function ff.take_first(call, group, execution, ticket, given)
  local timeout_ms = execution.rules ~= '' and ff.rules(execution.rules).attempt_timeout_ms
  -- It can have ended before its first attempt, and been replayed.
  local attempt_type = execution.next_attempt == NEXT.replay and ATTEMPT.replay or ''
  local timeout_at, remaining_ms = times_of(call, group, execution, timeout_ms, given)
  local attempt = (timeout_ms or attempt_type ~= '') and attempt_type .. '\t\t' .. timeout_at .. '\t' .. remaining_ms or ''
  return {
    execution = execution, event = EVENT.execution_claimed, fence = '1\t' .. ticket,
    started_at = call.now_text, attempts = '1', timeout_at = timeout_at, remaining_ms = remaining_ms,
    timing = timing_of(timeout_at, remaining_ms), retries = '',
    attempt = attempt, index = '0', kind = CLAIM.fresh, attempt_type = attempt_type, earlier = '', given = given,
  }
end

-- The number of recent losses with the one of now. Losses that lie far apart have causes of their own.
local function recent_losses_of(call, execution)
  local last = ff.time(execution.last_lost_at)
  if not last or call.now - last > LIMIT.loss_memory_ms then return '1' end
  return ff.digits(ff.count(execution.recent_loss_count) + 1)
end

-- What a worker gets of an execution with earlier attempts.
function ff.take_again(call, group, execution, ticket, given)
  local lease_id, attempt_id = string.match(ticket, '^([^\t]*)\t([^\t]*)$')
  local epoch, last_attempt = string.match(execution.fence, '^(%d+)\t[^\t]*\t([^\t]+)$')
  if not epoch then ff.damaged('the fence is unreadable') end
  ff.read_retries(execution)
  ff.read_timing(execution)
  local attempts = ff.count(execution.total_attempt_count)
  local reclaimed = ff.is_reclaimable(execution.situation)
  if reclaimed then ff.check_stream(call, execution) end
  local resumed = not reclaimed and execution.next_attempt == NEXT.resume
  local time_ms
  if resumed then time_ms = ff.time(execution.attempt_timeout_remaining_ms) else time_ms = ff.rules(execution.rules).attempt_timeout_ms end
  local timeout_at, remaining_ms = times_of(call, group, execution, time_ms, given)
  local index = resumed and attempts - 1 or attempts
  local index_text = index == 0 and '' or ff.digits(index)
  local take = {
    execution = execution, fence = (epoch + 1) .. '\t' .. lease_id .. '\t' .. (resumed and last_attempt or attempt_id),
    started_at = execution.started_at, attempts = ff.digits(index + 1), timeout_at = timeout_at,
    remaining_ms = remaining_ms, timing = timing_of(timeout_at, remaining_ms), retries = execution.retries, index = ff.digits(index),
    earlier = ff.earlier_of(execution), given = given,
  }
  local times = '\t' .. timeout_at .. '\t' .. remaining_ms
  if resumed then
    take.event, take.kind, take.attempt_type = EVENT.execution_resumed, CLAIM.resumed, ''
    take.attempt = index_text .. times
    return take
  end
  local attempt_type = reclaimed and ATTEMPT.reclaim or PENDING_TYPE[execution.next_attempt] or ''
  take.event, take.kind, take.attempt_type = EVENT.execution_claimed, reclaimed and CLAIM.reclaimed or CLAIM.fresh, attempt_type
  take.attempt = attempt_type .. '\t' .. index_text .. times
  if reclaimed then
    take.retries = ff.retries_text(execution.retry_count, ff.digits(ff.count(execution.lease_reclaim_count) + 1),
      execution.lease_release_count, execution.failure_category, recent_losses_of(call, execution), call.now_text)
  end
  return take
end

-- The plan for the candidates: of each its execution and its take, `false` when it is plain; the number of plain ones;
-- and broken records. One table for all claims, except for the lists of a claim with very many candidates.
local plan = {
  size = 0, plain = 0, executions = {}, takes = {}, broken = {},
  -- The life of the last plain candidate, and its flow; false when the next one cannot be judged by them.
  life = false, flow = false,
}

local function begin_plan()
  if plan.size > LIMIT.kept_claims then plan.executions, plan.takes = {}, {} end
  if plan.broken[1] then plan.broken = {} end
  plan.size, plan.plain, plan.room, plan.life, plan.flow = 0, 0, nil, false, false
end

-- The take of a plain claim for an execution with tags or rules, beside its fence; `expiry` is the time of its timer,
-- as a number and as a text. Executions of a claim mostly have the same rules.
local function plain_take_of(call, group, execution)
  local rules, fetched = execution.rules, is_fetched(execution)
  local take = group.take
  if take and take.rules == rules and take.fetched == fetched then return take end
  local timeout_ms = rules ~= '' and ff.rules(rules).attempt_timeout_ms
  local timeout_at, remaining_ms = times_of(call, group, execution, timeout_ms)
  take = {
    is_plain = true, rules = rules, fetched = fetched, kind = CLAIM.fresh, attempt_type = '', index = '0', earlier = '',
    timeout_at = timeout_at, remaining_ms = remaining_ms, timing = timing_of(timeout_at, remaining_ms),
    -- The times in the text of the event; false without any.
    attempt = timeout_ms and '\t\t' .. timeout_at .. '\t' .. remaining_ms, expiry = group.expiry, expires_at = group.expires_at,
  }
  -- One timer serves the end of the lease and of the attempt.
  if timeout_at ~= '' and call.now + timeout_ms < group.expiry then take.expiry, take.expires_at = call.now + timeout_ms, timeout_at end
  group.take = take
  return take
end

-- Whether an execution has no earlier attempts, and nothing besides tags, needs (which its queue tells), rules, and a
-- flow that has no cancellation left to do. Members of a flow that were created together have one life: if no group of
-- the flow has upstreams left to cancel, the verdict on one of them is that on all.
local function is_plain(call, execution)
  local life, flow = execution.life, string.sub(execution.membership, 1, LIMIT.id_length)
  if life == plan.life and flow == plan.flow then return true end
  if execution.situation ~= SITUATION.ready or execution.total_attempt_count ~= '' or execution.next_attempt ~= '' then return false end
  if string.find(execution.extras, '[^' .. FIELD.tags .. FIELD.needs .. FIELD.rules .. FIELD.membership .. ']') then return false end
  if ff.is_owed_cancel(call, execution) then return false end
  if flow == '' or call.flow and call.flow.id == flow and call.flow.owing_groups == '' then plan.life, plan.flow = life, flow end
  return true
end

-- Plans a candidate: it is taken, or it lapsed too often. For one without earlier attempts and without special facts
-- the fence is enough. A ticket is the ids of a lease and an attempt; the remaining tickets start at `at`.
local function plan_one(call, group, id, queue, tickets, at)
  local size = plan.size + 1
  -- A plain record has no facts beyond those of its loader, so its table is reused. The record of a candidate that
  -- turns out to be broken has more, and its table is not.
  local record = plan.takes[size] == false and plan.executions[size]
  plan.takes[size] = nil
  local execution = load_first(call, id, record) or ff.damaged('the record is missing')
  local take = false
  -- Most have the life of their creation.
  if group.worker_fits and (execution.life == SITUATION.ready or is_plain(call, execution)) then
    if execution.input == LIMIT.spilled then ff.load_input(execution, call.settings.leaves_inputs) end
    if not group.queue then execution.queue = queue end
    execution.fence = '1\t' .. tickets[at]
    if execution.extras ~= '' then execution.take = plain_take_of(call, group, execution) end
    plan.plain = plan.plain + 1
  else
    if not ff.is_queued(execution) then ff.damaged('the record is in a queue and cannot be claimed') end
    local is_first = execution.total_attempt_count == ''
    load_rest(execution, queue)
    local reason = ff.is_member(execution) and ff.owed_cancel(call, execution)
    if reason then
      local purge_at, purge_text = ff.check_ending(call, execution)
      take = { is_end = true, reason = reason, purge_at = purge_at, purge_text = purge_text }
    elseif not is_first and ff.exceeds_reclaim_cap(execution) then
      local purge_at, purge_text = ff.check_ending(call, execution)
      take = { is_end = true, purge_at = purge_at, purge_text = purge_text }
    else
      if execution.input == LIMIT.spilled then ff.load_input(execution, call.settings.leaves_inputs) end
      local given
      if ff.is_member(execution) then
        plan.room = plan.room or ff.room_of_claim()
        given = ff.given_to(call, execution, plan.room)
      end
      local take_it = is_first and ff.take_first or ff.take_again
      take = take_it(call, group, execution, tickets[at], given)
    end
  end
  plan.size = size
  plan.executions[size], plan.takes[size] = execution, take
  return take and take.is_end and at or at + 1
end

local function plan_all(call, group, ids, queue, of, tickets)
  begin_plan()
  local at = 1
  for i = 1, #ids do at = plan_one(call, group, ids[i], queue or of[i], tickets, at) end
end

-- One by one: plans the readable candidates, and records what is wrong with the others.
local function plan_readable(call, group, ids, queue, of, tickets)
  begin_plan()
  local broken, at = plan.broken, 1
  for i = 1, #ids do
    local ran, result = pcall(plan_one, call, group, ids[i], queue or of[i], tickets, at)
    if ran then
      at = result
    else
      ff.contain(result)
      broken[#broken + 1] = { id = ids[i], queue = queue or of[i], why = result }
    end
  end
  ff.check_quarantine(call)
end

local function claim_plain(call, group, execution)
  ff.remove(group.queue or execution.queue, execution.id)
  local due = execution.extras == '' and group or execution.take
  ff.add_noted(call.timers, due.expires_at, due.expiry, TIMER.execution .. execution.id, due.expires_at)
  ff.tally(call, group.lane_id, SITUATION.ready, SITUATION.running)
  if execution.extras ~= '' then ff.tally_member(call, execution, SITUATION.ready, SITUATION.running) end
  ff.apply.plain_claim(call, group, execution)
end

-- Counts members of a flow that were claimed one after the other.
local function count_claimed(call, flow, count)
  if flow then ff.tally(call, LIMIT.counted_flow .. flow, SITUATION.ready, SITUATION.running, count) end
end

-- Plain candidates leave their queue together, and get their timers together.
local function claim_many(call, group)
  local executions, takes = plan.executions, plan.takes
  ff.gather(call)
  -- All candidates come from the start of the only queue.
  local is_whole_head = group.queue and plan.plain == plan.size and not plan.broken[1]
  if is_whole_head then ff.remove_head(group.queue, plan.size) end
  local timed, plain, first, flow, of_flow = {}, 0, group, false, 0
  for i = 1, plan.size do
    local execution, take = executions[i], takes[i]
    if not take then
      plain = plain + 1
      if not is_whole_head then ff.remove(group.queue or execution.queue, execution.id) end
      local due = group
      if execution.extras ~= '' then
        due = execution.take
        if due.expiry < first.expiry then first = due end
        local its_flow = ff.is_member(execution) and ff.flow_of(execution)
        if its_flow ~= flow then
          count_claimed(call, flow, of_flow)
          flow, of_flow = its_flow, 0
        end
        of_flow = of_flow + 1
      end
      local place = 2 * (plan.plain - plain)
      timed[place + 1], timed[place + 2] = due.expires_at, TIMER.execution .. execution.id
      ff.apply.plain_claim(call, group, execution)
    elseif take.is_end then
      ff.settle_later(true)
      if take.reason then
        ff.apply.execution_cancelled(call, execution, LIMIT.walker, take.reason, take.purge_at, take.purge_text)
      else
        ff.apply.execution_failed(call, execution, LIMIT.max_reclaims_exceeded, LIMIT.max_reclaims_exceeded, take.purge_at,
          take.purge_text)
      end
      ff.settle_later(false)
    else
      ff.apply.acquired(call, group, take)
    end
  end
  if plain == 0 then return end
  count_claimed(call, flow, of_flow)
  ff.tally(call, group.lane_id, SITUATION.ready, SITUATION.running, plain)
  ff.add_many(call.timers, timed, 2 * plain, first.expiry, first.expires_at)
end

-- Carries out the plan of a claim, in the order of the candidates.
local function claim(call, group)
  -- A list of its own: a claim that fails leaves nothing to the next one, which may be of another partition.
  group.binding = group.meters ~= '' and {}
  if plan.size == 1 and plan.plain == 1 then claim_plain(call, group, plan.executions[1]) else claim_many(call, group) end
  if group.binding then ff.bind_admissions(call, group.binding) end
  local broken = plan.broken
  for i = 1, #broken do
    ff.dequeue(call, broken[i])
    ff.quarantine(call, TIMER.execution .. broken[i].id, broken[i].why)
  end
  if group.leaves_some then group.queue.stays = true end
end

-- The row of a taken execution in the answer. Bytes that are left in their keys are empty.
function ff.tell_claim(reply, size, execution, take)
  reply[size + 1] = execution.id
  reply[size + 3], reply[size + 4], reply[size + 5] = execution.naming, execution.given, execution.input
  if not take and execution.extras ~= '' then take = execution.take end
  if not take or take.is_plain and execution.tags == '' and not take.attempt then
    -- The caller knows the rest: it passed the ids.
    reply[size + 2] = CLAIM_ROW.plain
    return size + 5
  end
  reply[size + 2] = take.kind .. take.attempt_type
  reply[size + 6], reply[size + 7], reply[size + 8] = take.fence or execution.fence, take.index, take.timeout_at
  reply[size + 9], reply[size + 10], reply[size + 11] = take.remaining_ms, execution.bounds, execution.tags
  reply[size + 12] = take.earlier
  return ff.tell_given(reply, size + 12, take.given)
end

-- The number and the ids of executions that the claim ended: those that their flow had yet to cancel, or those that
-- lapsed too often.
local function tell_ended(reply, size, is_cancelled)
  local executions, takes, count_at = plan.executions, plan.takes, size + 1
  size = count_at
  for i = 1, plan.size do
    local take = takes[i]
    if take and take.is_end and (take.reason ~= nil and take.reason ~= false) == is_cancelled then
      size = size + 1
      reply[size] = executions[i].id
    end
  end
  reply[count_at] = size - count_at
  return size
end

local function answer(group)
  local executions, takes = plan.executions, plan.takes
  local reply, size, taken = { KIND.claimed, group.expires_at, 0 }, 3, 0
  for i = 1, plan.size do
    local take = takes[i]
    if not (take and take.is_end) then
      taken = taken + 1
      size = ff.tell_claim(reply, size, executions[i], take)
    end
  end
  if taken == 0 then
    reply, size = { KIND.no_work }, 1
  else
    reply[3] = taken
  end
  if taken == plan.size and not plan.broken[1] then
    reply[size + 1], reply[size + 2], reply[size + 3] = 0, 0, 0
    return reply, size + 3
  end
  size = tell_ended(reply, size, false)
  size = tell_ended(reply, size, true) + 1
  local broken = plan.broken
  reply[size] = #broken
  for i = 1, #broken do reply[size + i] = broken[i].id end
  return reply, size + #broken
end

-- Whether one of the lease ids was used as an admission before, or was voided.
local function names_used_admission(call, tickets)
  local ids = {}
  for i = 1, #tickets do ids[i] = string.sub(tickets[i], 1, LIMIT.id_length) end
  local known = command('HMGET', call.base .. KEY.admissions, unpack(ids))
  for i = 1, #ids do
    if known[i] then return true end
  end
  return false
end

function ff.decide.claim_for_worker(call, group, ...)
  if group.meters ~= '' and names_used_admission(call, { ... }) then return ff.reject('admission_void') end
  if call.stated > 0 and ff.state_of_lane(call, group.lane_id) == LANE_STATE.paused then
    return { KIND.no_work, 0, 0, 0, '' }
  end
  local tickets = { ... }
  local ids, queue, of, left = candidates(call, group, #tickets)
  -- The priority of the work that a bounded claim left.
  local priority = group.bound and left and ff.priority_of(call, left) or ''
  if not ids[1] then return { KIND.no_work, 0, 0, 0, priority } end
  ff.timers_of(call)
  if not pcall(plan_all, call, group, ids, queue, of, tickets) then
    plan_readable(call, group, ids, queue, of, tickets)
  end
  local reply, size = answer(group)
  if group.bound then reply[size + 1] = priority end
  return reply, claim, group
end
