-- read_budget: budget_id, first day of its bill (or empty), days. Answers the pairs of its record, those of its long
-- values, and the totals of the days; nothing for days without totals, 0 for those that are unreadable.
function ff.query.read_budget(call, budget_id, from_day, days)
  local key = call.base .. BUDGET.key .. budget_id
  local bills = {}
  for i = 1, tonumber(days) do
    local totals = guarded('HGET', call.base .. BILL.key .. budget_id .. ':' .. ff.digits(from_day + i - 1), BILL.totals)
    bills[i] = type(totals) == 'table' and 0 or totals
  end
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details), bills }
end

-- read_budget_usage: budget_id, execution_id
-- Answers the pairs of the budget's record, those of its long values, and those of the ledger.
function ff.query.read_budget_usage(call, budget_id, execution_id)
  local key = call.base .. BUDGET.key .. budget_id
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details),
    command('HGETALL', call.base .. LEDGER.key .. budget_id .. ':' .. execution_id) }
end

-- list_budgets: after? (an id), limit
-- Answers each with the pairs of its record, and those of its long values.
function ff.query.list_budgets(call, after, limit)
  local ids = command('ZRANGEBYLEX', call.base .. KEY.budgets, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
  local found = {}
  for i = 1, #ids do
    local key = call.base .. BUDGET.key .. ids[i]
    found[i] = { ids[i], ff.listed_hash(key), ff.listed_hash(key .. SUFFIX.details) }
  end
  return found
end
