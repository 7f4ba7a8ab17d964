-- create_budget, update_budget_limits, release_budget, reset_budget: see model/budget/budget.ts

local function set_timer(call, budget)
  local timers = ff.timers_of(call)
  if budget.next_reset_at == '' then
    ff.remove(timers, TIMER.budget .. budget.id)
  else
    ff.add_noted(timers, budget.next_reset_at, tonumber(budget.next_reset_at), TIMER.budget .. budget.id, budget.next_reset_at)
  end
end

function ff.apply.budget_created(call, id, new)
  local key = call.base .. BUDGET.key .. id
  local limits = ff.budget_limits_text(new.hard_limits, new.soft_limits)
  local resets = ff.budget_resets_text('', '', new.next_reset_at)
  command('HSET', key, BUDGET.given, new.agreed .. '\t' .. call.now_text, BUDGET.limits, limits, BUDGET.resets, resets,
    BUDGET.today, ff.budget_today_text(ff.counter_text(ff.day_of(call.now)), '', '', ''), BUDGET.touched, call.now_text,
    BUDGET.scope_id, ff.fit(key, BUDGET.scope_id, new.scope_id))
  command('ZADD', call.base .. KEY.budgets, '0', id)
  if new.next_reset_at ~= '' then set_timer(call, { id = id, next_reset_at = new.next_reset_at }) end
  ff.append(call, EVENT.budget_created, id, new.agreed, limits, new.next_reset_at, new.scope_id)
end

function ff.decide.create_budget(call, budget_id, scope_type, scope_id, enforcement_mode, on_hard_limit, on_soft_limit,
    reset_interval_ms, hard_limits, soft_limits)
  local interval = reset_interval_ms ~= '0' and reset_interval_ms or ''
  local agreed = table.concat({ scope_type, enforcement_mode, on_hard_limit, on_soft_limit, interval }, '\t')
  local known = ff.budget_of(call, budget_id)
  if known then
    if known.scope_id == '' then ff.damaged('scopeId is missing') end
    local given = table.concat({ known.scope_type, known.enforcement_mode, known.on_hard_limit, known.on_soft_limit,
      known.reset_interval_ms }, '\t')
    local is_same = given == agreed and known.scope_id == scope_id and ff.amounts_text(known.hard) == hard_limits
      and ff.amounts_text(known.soft) == soft_limits
    return { KIND.already_satisfied, is_same and 'same_definition' or 'definition_differs' }
  end
  ff.timers_of(call)
  command('ZCARD', call.base .. KEY.budgets)
  local next_reset_at = interval ~= '' and ff.digits(call.now + tonumber(interval)) or ''
  return KIND.created, ff.apply.budget_created, budget_id,
    { agreed = agreed, scope_id = scope_id, hard_limits = hard_limits, soft_limits = soft_limits, next_reset_at = next_reset_at }
end

local function with_changes(known, changed)
  local limits = ff.same_amounts(known)
  for i = 1, #changed.names do ff.set_amount(limits, changed.names[i], changed.of[changed.names[i]]) end
  return limits
end

function ff.apply.budget_limits_updated(call, budget, hard, soft, requested_by)
  budget.hard, budget.soft = hard, soft
  local limits = ff.budget_limits_text(ff.amounts_text(hard), ff.amounts_text(soft))
  command('HSET', budget.key, BUDGET.limits, limits)
  ff.clear_refusals(budget)
  budget.last_updated_at, budget.is_changed = call.now_text, true
  ff.append(call, EVENT.budget_limits_updated, budget.id, limits, requested_by)
end

function ff.decide.update_budget_limits(call, budget_id, hard_limits, soft_limits, requested_by)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local hard = with_changes(budget.hard, ff.read_amounts(hard_limits))
  local soft = with_changes(budget.soft, ff.read_amounts(soft_limits))
  if ff.amounts_text(hard) == ff.amounts_text(budget.hard) and ff.amounts_text(soft) == ff.amounts_text(budget.soft) then
    return { KIND.already_satisfied, 'same_limits' }
  end
  if #hard.names > LIMIT.max_dimensions then return ff.reject('invalid_input', 'field', 'limits') end
  return KIND.limits_updated, ff.apply.budget_limits_updated, budget, hard, soft, requested_by
end

function ff.decide.release_budget(call, budget_id, execution_id)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local ledger = ff.ledger_of(call, budget_id, execution_id)
  -- Spending before the last reset is no longer part of the usage.
  if not ledger or ledger.generation ~= budget.reset_count or #ledger.spend.names == 0 then return { KIND.released, '' } end
  return { KIND.released, ff.amounts_text(ledger.spend) }, ff.apply.budget_released, budget, ledger, execution_id,
    ff.check_day(call, budget)
end

function ff.apply.budget_reset(call, budget, next_reset_at, requested_by)
  for i = 1, #budget.used.names do budget.used.of[budget.used.names[i]] = 0 end
  budget.over, budget.refusals = ff.no_amounts(), ff.no_amounts()
  budget.last_breach_at, budget.last_breach_dim = '', ''
  budget.reset_count = budget.reset_count + 1
  budget.last_reset_at, budget.next_reset_at = call.now_text, next_reset_at
  budget.last_updated_at, budget.is_changed = call.now_text, true
  set_timer(call, budget)
  ff.append(call, EVENT.budget_reset, budget.id, next_reset_at, requested_by)
end

-- The first time of the schedule after now.
local function next_after(due, interval, now)
  return due + (math.floor((now - due) / interval) + 1) * interval
end

function ff.decide.reset_budget(call, budget_id, expected_next_reset_at, requested_by)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  if expected_next_reset_at ~= '' and expected_next_reset_at ~= budget.next_reset_at then
    return { KIND.already_satisfied, 'already_moved' }
  end
  ff.timers_of(call)
  local next_reset_at = ''
  if budget.interval > 0 then
    local expected = tonumber(expected_next_reset_at)
    local is_due = expected and expected <= call.now
    next_reset_at = ff.digits(is_due and next_after(expected, budget.interval, call.now) or call.now + budget.interval)
  end
  return { KIND.reset, next_reset_at == '' and '0' or next_reset_at }, ff.apply.budget_reset, budget, next_reset_at, requested_by
end

-- The step for a due entity. If its time has not come, its timer is set again; without a time, it is removed.
function ff.due_step(call, member, entity, at, apply, a, b)
  if at and at <= call.now then return { entity = entity, kind = member, apply = apply, a = a, b = b } end
  local function correct()
    local timers = ff.timers_of(call)
    if at then ff.add_noted(timers, ff.digits(at), at, member, ff.digits(at)) else ff.remove(timers, member) end
  end
  return { entity = entity, kind = member, apply = correct }
end

function ff.due.budget(call, id)
  local budget = ff.budget_of(call, id) or ff.damaged('the record is missing')
  local at = tonumber(budget.next_reset_at)
  if at and budget.interval == 0 then ff.damaged('it has a reset and no interval') end
  local next_at = at and next_after(at, budget.interval, call.now) or 0
  return ff.due_step(call, TIMER.budget .. id, budget, at, ff.apply.budget_reset, ff.digits(next_at), 'engine')
end

function ff.apply.bill_dropped(call, bill)
  command('UNLINK', bill.key)
  ff.remove(ff.timers_of(call), TIMER.bill .. bill.id)
  local budget_id, day = string.match(bill.id, '^([^:]*):(.*)$')
  ff.append(call, EVENT.bill_dropped, budget_id, day, '')
end

local load_bill = ff.record('bill')

function ff.due.bill(call, id)
  local bill = load_bill(call, id) or ff.damaged('the record is missing')
  local day = tonumber(string.match(bill.totals, '^%d+'))
  local at = (day + 1 + LIMIT.bill_kept_days) * 86400000
  return ff.due_step(call, TIMER.bill .. id, bill, at, ff.apply.bill_dropped)
end
