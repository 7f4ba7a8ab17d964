-- Ledgers: the usage of a budget by one execution; see model/budget/entities.ts.

local load = ff.record('ledger')

local DAY_MS = 86400000

-- The ledger of an execution; false without a ledger or an execution.
function ff.ledger_of(call, budget_id, spender)
  if spender == '' then return false end
  ff.timers_of(call)
  local ledger = load(call, budget_id .. ':' .. spender)
  if not ledger then return false end
  ff.read_ledger_totals(ledger)
  ledger.generation, ledger.highest_epoch = ff.count(ledger.generation), ff.count(ledger.highest_epoch)
  ledger.drop_at = tonumber(ledger.drop_at)
  ledger.spend, ledger.attributed = ff.read_amounts(ledger.spend), ff.read_amounts(ledger.attributed)
  return ledger
end

-- Whether an epoch is lower than the highest one received.
function ff.is_stale(ledger, epoch)
  return ledger and epoch ~= '' and tonumber(epoch) < ledger.highest_epoch
end

local function write(ledger)
  command('HSET', ledger.key, LEDGER.totals, ff.ledger_totals_text(ff.counter_text(ledger.generation),
    ff.amounts_text(ledger.spend), ff.amounts_text(ledger.attributed), ff.counter_text(ledger.highest_epoch),
    ff.digits(ledger.drop_at)))
end

local function new_ledger(call, budget, spender)
  local id = budget.id .. ':' .. spender
  return { id = id, key = call.base .. LEDGER.key .. id, generation = budget.reset_count, spend = ff.no_amounts(),
    attributed = ff.no_amounts(), highest_epoch = 0, drop_at = 0 }
end

-- Bounds amounts to what a number holds exactly.
local function bound(amounts)
  for i = 1, #amounts.names do
    local name = amounts.names[i]
    amounts.of[name] = math.min(amounts.of[name], LIMIT.max_integer)
  end
end

-- Enters amounts on one side of a ledger. Spending before the last reset cannot be corrected any more.
function ff.enter_ledger(call, budget, ledger, spender, epoch, side, deltas, overrun)
  if spender == '' then return end
  ledger = ledger or new_ledger(call, budget, spender)
  if ledger.generation ~= budget.reset_count then
    ff.add_amounts(ledger.attributed, ledger.spend)
    bound(ledger.attributed)
    ledger.generation, ledger.spend = budget.reset_count, ff.no_amounts()
  end
  local used = ff.same_amounts(deltas)
  if overrun then ff.add_amounts(used, overrun) end
  ff.add_amounts(ledger[side], used)
  bound(ledger[side])
  if epoch ~= '' then ledger.highest_epoch = math.max(ledger.highest_epoch, tonumber(epoch)) end
  local drop_at = (ff.day_of(call.now) + 1 + LIMIT.ledger_kept_days) * DAY_MS
  if drop_at > ledger.drop_at then
    ledger.drop_at = drop_at
    local text = ff.digits(drop_at)
    ff.add_noted(ff.timers_of(call), text, drop_at, TIMER.ledger .. ledger.id, text)
  end
  write(ledger)
end

function ff.apply.budget_released(call, budget, ledger, spender, closes_day)
  if closes_day then ff.apply.budget_day_closed(call, budget) end
  ff.append(call, EVENT.budget_released, budget.id, spender .. '\t' .. ff.amounts_text(ledger.spend), '')
  ff.take_amounts(budget.used, ledger.spend, true)
  ff.add_amounts(budget.back, ledger.spend)
  bound(budget.back)
  ff.clear_refusals(budget)
  ff.begin_day(call, budget)
  ledger.spend = ff.no_amounts()
  write(ledger)
end

function ff.apply.ledger_dropped(call, ledger)
  command('UNLINK', ledger.key)
  ff.remove(ff.timers_of(call), TIMER.ledger .. ledger.id)
  local budget_id, spender = string.match(ledger.id, '^([^:]*):(.*)$')
  ff.append(call, EVENT.ledger_dropped, budget_id, spender, '')
end

function ff.due.ledger(call, id)
  local budget_id, spender = string.match(id, '^([^:]*):(.*)$')
  local ledger = ff.ledger_of(call, budget_id, spender) or ff.damaged('the record is missing')
  return ff.due_step(call, TIMER.ledger .. id, ledger, ledger.drop_at, ff.apply.ledger_dropped)
end
