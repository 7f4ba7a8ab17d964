-- claim_for_worker: see model/schedule/claim.ts
--
-- Everything is read before anything is written: the queues, and the executions that they name.

local load_first = ff.refilling_loader('naming', 'given', 'bounds', 'tags', 'rules', 'membership', 'input')

-- Facts that the claims of a group share: one table for all groups, which run one after another.
local offer = {}

function ff.prepare.claim_for_worker(call, worker, lane_id, worker_capabilities, kinds, lease_ttl_ms, ahead, min_priority, meters)
  local expiry = call.now + lease_ttl_ms
  local expires_at = ff.digits(expiry)
  offer.worker, offer.worker_fits = worker, #worker <= LIMIT.max_field_bytes
  offer.expiry, offer.expires_at, offer.lease = expiry, expires_at, worker .. '\t' .. expires_at
  offer.ahead, offer.lane_id, offer.capabilities, offer.kinds = ahead == '1', lane_id, worker_capabilities, kinds
  offer.meters = meters
  offer.bound = min_priority ~= '' and ff.last_score_of(call, min_priority)
  offer.first_life = ff.life_text(SITUATION.running, '', expires_at, call.now_text, call.now_text, '1', '')
  -- The only queue, and whether the claim leaves entries in it.
  offer.queue, offer.leaves_some, offer.take = false, false, false
  return offer
end

-- Facets that only work with earlier attempts, or with more than every execution has, needs.
local function load_rest(execution, queue)
  execution.queue, execution.needs = queue, queue.needs
  if execution.total_attempt_count == '' then
    execution.fence, execution.retries, execution.timing, execution.progress, execution.streams = '', '', '', '', ''
    execution.wait = ''
    return
  end
  local key, extras = execution.key, execution.extras
  execution.fence = ff.found_extra(key, FIELD.fence, command('HGET', key, FIELD.fence))
  execution.retries, execution.timing = ff.load_extra(key, extras, FIELD.retries), ff.load_extra(key, extras, FIELD.timing)
  execution.progress, execution.streams = ff.load_extra(key, extras, FIELD.progress), ff.load_extra(key, extras, FIELD.streams)
  execution.wait = ff.load_extra(key, extras, FIELD.wait)
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
  local take, tags = false, execution.tags
  -- They go to the claimer unread, who could not read the others of its claim behind them.
  if tags ~= '' and not string.find(tags, '^{".*"}$') then ff.damaged('tags are unreadable') end
  -- Most have the life of their creation.
  if group.worker_fits and (execution.life == SITUATION.ready or is_plain(call, execution)) then
    if execution.input == LIMIT.spilled then ff.load_input(execution, call.settings.leaves_inputs) end
    if not group.queue then execution.queue = queue end
    execution.fence = '1\t' .. tickets[at]
    if execution.extras ~= '' then execution.take = ff.plain_take_of(call, group, execution) end
    plan.plain = plan.plain + 1
  else
    if not ff.is_queued(execution) then ff.damaged(LIMIT.stray_in_queue) end
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
      if not is_first or ff.is_member(execution) then plan.room = plan.room or ff.room_of_claim() end
      if ff.is_member(execution) then given = ff.given_to(call, execution, plan.room) end
      local take_it = is_first and ff.take_first or ff.take_again
      take = take_it(call, group, execution, tickets[at], given, plan.room)
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
  local ids, queue, of, left = ff.candidates(call, group, #tickets)
  -- The priority of the work that a bounded claim left.
  local priority = group.bound and left and ff.priority_of(call, left) or ''
  if not ids[1] then return { KIND.no_work, 0, 0, 0, priority } end
  ff.timers_of(call)
  if not pcall(plan_all, call, group, ids, queue, of, tickets) then
    plan_readable(call, group, ids, queue, of, tickets)
  end
  local reply, size = ff.claim_answer(group, plan)
  if group.bound then reply[size + 1] = priority end
  return reply, claim, group
end
