-- report_usage, report_usage_admin, record_spend: see model/budget/charge.ts

local function used_text(budget, used)
  return table.concat({ used.deltas_text, used.spender, used.epoch, used.is_stale and '1' or '',
    ff.counter_text(budget.reset_count), used.soft or '', used.over or '' }, '\t')
end

local function record(call, side, budget, used)
  ff.add_amounts(budget.used, used.deltas)
  ff.add_amounts(budget.spent, used.deltas)
  if used.over then
    ff.breach_budget(call, budget, used.over)
  elseif used.soft then
    budget.soft_breach_count = budget.soft_breach_count + 1
  end
  ff.touch_budget(call, budget)
  ff.enter_ledger(call, budget, used.ledger, used.spender, used.epoch, side, used.deltas)
  if used.key ~= '' then
    local expires_at = ff.digits(call.now + LIMIT.usage_key_ms)
    ff.remember(used.key_name, expires_at, expires_at)
  end
end

function ff.apply.usage_reported(call, budget, used)
  if used.closes_day then ff.apply.budget_day_closed(call, budget) end
  ff.append(call, EVENT.usage_reported, budget.id, used_text(budget, used), used.key)
  record(call, 'attributed', budget, used)
end

function ff.apply.spend_recorded(call, budget, used)
  if used.closes_day then ff.apply.budget_day_closed(call, budget) end
  ff.append(call, EVENT.spend_recorded, budget.id, used_text(budget, used), used.key)
  record(call, 'spend', budget, used)
end

-- The first dimension that would be above its soft limit.
local function above_soft(budget, deltas)
  if budget.on_soft_limit ~= '' then return nil end
  for i = 1, #deltas.names do
    local name = deltas.names[i]
    local soft = budget.soft.of[name] or 0
    if soft > 0 and (budget.used.of[name] or 0) + deltas.of[name] > soft then return name end
  end
  return nil
end

local function answer_of(budget, deltas, over, soft)
  local name = over or soft
  if not name then return KIND.ok end
  local after = ff.digits((budget.used.of[name] or 0) + deltas.of[name])
  if over then return { KIND.over_limit, over, after, ff.digits(budget.hard.of[over]) } end
  return { KIND.soft_breach, soft, after, ff.digits(budget.soft.of[soft]) }
end

local function is_applied(call, name)
  local expires_at = guarded('GET', name)
  if not expires_at then return false end
  local at = type(expires_at) == 'string' and tonumber(expires_at) or ff.damaged_key('the key of a report', name)
  return at > call.now
end

local function charge(call, apply, budget_id, spender, epoch, deltas_text, key)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local key_name = key ~= '' and call.base .. KEY.usage .. budget_id .. ':' .. key
  if key_name and is_applied(call, key_name) then return KIND.already_applied end
  local deltas = ff.read_amounts(deltas_text)
  local over = ff.offending(budget, deltas)
  if over and budget.is_strict then return ff.hard_breach(budget, over, deltas, spender, epoch) end
  local nothing = ff.no_amounts()
  if not (ff.fits_dimensions(budget, deltas, nothing) and ff.fits_numbers(budget, deltas, nothing)) then
    return ff.reject('invalid_input', 'field', 'deltas')
  end
  local soft = not over and above_soft(budget, deltas) or nil
  local ledger = ff.ledger_of(call, budget_id, spender)
  return answer_of(budget, deltas, over, soft), apply, budget, {
    deltas = deltas, deltas_text = deltas_text, spender = spender, epoch = epoch, is_stale = ff.is_stale(ledger, epoch),
    soft = soft, over = over, key = key, key_name = key_name, ledger = ledger, closes_day = ff.check_day(call, budget),
  }
end

function ff.decide.report_usage(call, budget_id, execution_id, lease_epoch, usage, dedup_key)
  return charge(call, ff.apply.usage_reported, budget_id, execution_id, lease_epoch, usage, dedup_key)
end

function ff.decide.report_usage_admin(call, budget_id, deltas, dedup_key)
  return charge(call, ff.apply.usage_reported, budget_id, '', '', deltas, dedup_key)
end

function ff.decide.record_spend(call, budget_id, execution_id, lease_epoch, deltas, idempotency_key)
  return charge(call, ff.apply.spend_recorded, budget_id, execution_id, lease_epoch, deltas, idempotency_key)
end
