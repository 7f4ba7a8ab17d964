-- The budgets that a call has in hand; the twin of model/budget/recipes.ts. A call can have many reports on one budget:
-- it is read once, and written once at the end of the call. Two due steps of one call can concern the same budget: the
-- second finds it as the first left it.

local load = ff.record('budget', 'limits', 'usage', 'breaches', 'resets', 'today', 'touched', 'scope_id')

local DAY_MS = 86400000

function ff.day_of(at)
  return math.floor(at / DAY_MS)
end

-- The stored text of a counter: empty for 0.
function ff.counter_text(number)
  return number == 0 and '' or ff.digits(number)
end

local function read(budget)
  ff.read_budget_given(budget)
  ff.read_budget_limits(budget)
  ff.read_budget_usage(budget)
  ff.read_budget_breaches(budget)
  ff.read_budget_resets(budget)
  ff.read_budget_today(budget)
  ff.read_budget_touched(budget)
  budget.is_strict = budget.enforcement_mode == '' and budget.on_hard_limit ~= HARD_LIMIT.none
  budget.hard, budget.soft = ff.read_amounts(budget.hard_limits), ff.read_amounts(budget.soft_limits)
  budget.used, budget.held = ff.read_amounts(budget.usage), ff.read_amounts(budget.reserved)
  budget.over = ff.read_amounts(budget.overrun)
  budget.refusals = ff.read_amounts(budget.refused)
  budget.spent, budget.over_day = ff.read_amounts(budget.spent_today), ff.read_amounts(budget.overrun_today)
  budget.back = ff.read_amounts(budget.released_today)
  budget.breach_count, budget.soft_breach_count = ff.count(budget.breach_count), ff.count(budget.soft_breach_count)
  budget.reset_count, budget.bill_day = ff.count(budget.reset_count), ff.count(budget.bill_day)
  budget.interval = ff.count(budget.reset_interval_ms)
end

-- Whether a dimension has no room: an amount was refused and would be again, or everything is used or held.
function ff.is_exhausted(budget)
  if not budget.is_strict then return false end
  for i = 1, #budget.hard.names do
    local name = budget.hard.names[i]
    local hard = budget.hard.of[name]
    local taken = (budget.used.of[name] or 0) + (budget.held.of[name] or 0)
    if hard > 0 and (budget.refusals.of[name] or taken >= hard) then return true end
  end
  return false
end

-- Budgets as previous calls left them, by key: one that is unchanged need not be parsed again. A budget in hand is not
-- among them, because it is written when the call ends.
local known, known_count = {}, 0

local function take_known(key, values)
  local budget = known[key]
  if not budget then return nil end
  known[key], known_count = nil, known_count - 1
  local stored = budget.stored
  -- An error in the place of the values: the key is of another type.
  if #values ~= #stored then return nil end
  for i = 1, #values do
    if values[i] ~= stored[i] then return nil end
  end
  return budget
end

local function keep_known(budget)
  if known_count >= LIMIT.known_budgets then known, known_count = {}, 0 end
  known[budget.key], known_count = budget, known_count + 1
end

-- A budget, or nil when there is none.
function ff.budget_of(call, id)
  local budgets = call.budgets
  if budgets and budgets[id] then return budgets[id] end
  local key = call.base .. BUDGET.key .. id
  local values = guarded('HMGET', key, BUDGET.usage, BUDGET.breaches, BUDGET.resets, BUDGET.today, BUDGET.touched, BUDGET.given,
    BUDGET.limits, BUDGET.scope_id)
  local budget = take_known(key, values)
  if not budget then
    budget = load(call, id)
    if not budget then return nil end
    read(budget)
    budget.stored = values
  end
  budget.is_changed, budget.was_exhausted = false, ff.is_exhausted(budget)
  if not budgets then
    budgets = {}
    call.budgets = budgets
  end
  budgets[id] = budget
  return budget
end

-- The fields of a budget that can change, in the order in which they are read.
local CHANGING = { BUDGET.usage, BUDGET.breaches, BUDGET.resets, BUDGET.today, BUDGET.touched }

local function texts_of(budget)
  return ff.budget_usage_text(ff.amounts_text(budget.used), ff.amounts_text(budget.held), ff.amounts_text(budget.over)),
    ff.budget_breaches_text(ff.counter_text(budget.breach_count), ff.counter_text(budget.soft_breach_count), budget.last_breach_at,
      budget.last_breach_dim, ff.amounts_text(budget.refusals)),
    ff.budget_resets_text(ff.counter_text(budget.reset_count), budget.last_reset_at, budget.next_reset_at),
    ff.budget_today_text(ff.counter_text(budget.bill_day), ff.amounts_text(budget.spent), ff.amounts_text(budget.over_day),
      ff.amounts_text(budget.back)),
    budget.last_updated_at
end

local function write(budget)
  local stored, texts = budget.stored, { texts_of(budget) }
  local change, size = { budget.key }, 1
  for i = 1, #CHANGING do
    if texts[i] ~= stored[i] then
      stored[i] = texts[i]
      change[size + 1], change[size + 2] = CHANGING[i], texts[i]
      size = size + 2
    end
  end
  if size > 1 then command('HSET', unpack(change, 1, size)) end
end

-- Writes the changed budgets.
function ff.settle_budgets(call)
  for _, budget in pairs(call.budgets) do
    if budget.is_changed then
      write(budget)
      budget.is_changed = false
    end
  end
end

-- Runs after everything is written.
function ff.leave_budgets(call)
  for id, budget in pairs(call.budgets) do
    -- A budget that was exhausted has room again.
    if budget.was_exhausted and not ff.is_exhausted(budget) then
      ff.publish(call, CHANNEL.timers, call.partition .. '\t' .. LIMIT.room .. '\t' .. id)
    end
    keep_known(budget)
  end
end

-- Starts the totals of a day with its first event.
function ff.begin_day(call, budget)
  budget.bill_day = math.max(budget.bill_day, ff.day_of(call.now))
  budget.is_changed = true
end

function ff.touch_budget(call, budget)
  budget.last_updated_at = call.now_text
  ff.begin_day(call, budget)
end

-- The first dimension in which these amounts do not fit.
function ff.offending(budget, amounts)
  for i = 1, #amounts.names do
    local name = amounts.names[i]
    local hard = budget.hard.of[name] or 0
    if hard > 0 and (budget.used.of[name] or 0) + (budget.held.of[name] or 0) + amounts.of[name] > hard then return name end
  end
  return nil
end

-- An amount above the limit never fits, so it marks nothing.
function ff.mark_refused(budget, name, amount)
  if amount <= (budget.hard.of[name] or 0) then ff.set_amount(budget.refusals, name, amount) end
end

-- Removes the refusals of dimensions in which the refused amount would now fit, or never will.
function ff.clear_refusals(budget)
  local refusals = budget.refusals
  local kept = ff.no_amounts()
  for i = 1, #refusals.names do
    local name = refusals.names[i]
    local hard, refused = budget.hard.of[name] or 0, refusals.of[name]
    if refused <= hard and (budget.used.of[name] or 0) + (budget.held.of[name] or 0) + refused > hard then
      ff.set_amount(kept, name, refused)
    end
  end
  budget.refusals = kept
end

-- Whether all counted numbers can still be stored exactly, also when all that is reserved is used. `held` is reserved
-- no more.
function ff.fits_numbers(budget, more, held)
  for i = 1, #more.names do
    local name = more.names[i]
    local owed = (budget.held.of[name] or 0) - (held.of[name] or 0) + more.of[name]
    local counted = (budget.used.of[name] or 0) + (budget.over.of[name] or 0)
    local today = (budget.spent.of[name] or 0) + (budget.over_day.of[name] or 0)
    if counted + owed > LIMIT.max_integer or today + owed > LIMIT.max_integer then return false end
  end
  return true
end

-- Whether the budget counts no more dimensions than it may with these, without those in `reserved`. Those that it counts
-- already always fit.
function ff.fits_dimensions(budget, amounts, reserved)
  local lists, added = { budget.used, budget.held, budget.over, budget.over_day }, 0
  for i = 1, #amounts.names do
    local name = amounts.names[i]
    local is_known = reserved.of[name]
    for j = 1, #lists do is_known = is_known or lists[j].of[name] end
    if not is_known then added = added + 1 end
  end
  if added == 0 then return true end
  local seen, count = {}, 0
  for j = 1, #lists do
    for i = 1, #lists[j].names do
      local name = lists[j].names[i]
      if not seen[name] then seen[name], count = true, count + 1 end
    end
  end
  return count + added <= LIMIT.max_dimensions
end

-- Checks the key for the totals of a past day; answers false when no day has ended.
function ff.check_day(call, budget)
  if ff.day_of(call.now) <= budget.bill_day then return false end
  if #budget.spent.names + #budget.over_day.names + #budget.back.names == 0 then return false end
  command('HLEN', call.base .. BILL.key .. budget.id .. ':' .. ff.digits(budget.bill_day))
  ff.timers_of(call)
  return true
end

function ff.apply.budget_day_closed(call, budget)
  local name = budget.id .. ':' .. ff.digits(budget.bill_day)
  local totals = ff.bill_totals_text(ff.digits(budget.bill_day), ff.amounts_text(budget.spent),
    ff.amounts_text(budget.over_day), ff.amounts_text(budget.back))
  command('HSET', call.base .. BILL.key .. name, BILL.totals, totals)
  local at = (budget.bill_day + 1 + LIMIT.bill_kept_days) * DAY_MS
  local text = ff.digits(at)
  ff.add_noted(ff.timers_of(call), text, at, TIMER.bill .. name, text)
  ff.append(call, EVENT.budget_day_closed, budget.id, totals, '')
  budget.spent, budget.over_day, budget.back = ff.no_amounts(), ff.no_amounts(), ff.no_amounts()
  budget.is_changed = true
end

function ff.breach_budget(call, budget, dimension)
  budget.breach_count = budget.breach_count + 1
  budget.last_breach_at, budget.last_breach_dim = call.now_text, dimension
  budget.is_changed = true
end

function ff.apply.budget_hard_breached(call, budget, dimension, amount, spender, epoch)
  ff.breach_budget(call, budget, dimension)
  ff.mark_refused(budget, dimension, amount)
  budget.last_updated_at = call.now_text
  ff.append(call, EVENT.budget_hard_breached, budget.id,
    dimension .. '\t' .. ff.digits(amount) .. '\t' .. spender .. '\t' .. epoch, '')
end

-- The answer of a refusal, and the step that records it.
function ff.hard_breach(budget, dimension, amounts, spender, epoch)
  return { KIND.hard_breach, dimension, ff.digits(budget.used.of[dimension] or 0), ff.digits(budget.held.of[dimension] or 0),
    ff.digits(budget.hard.of[dimension]) },
    ff.apply.budget_hard_breached, budget, dimension, amounts.of[dimension], spender, epoch
end
