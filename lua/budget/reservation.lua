-- reserve_budget, renew_reservation, release_reservation, settle_reservation: see model/budget/reservation.ts

local load = ff.record('reservation', 'state')

local WORD = { [''] = 'open', [RESERVATION_STATE.settled] = 'settled', [RESERVATION_STATE.released] = 'released',
  [RESERVATION_STATE.lapsed] = 'lapsed' }

-- A reservation, or nil when there is none.
local function reservation_of(call, budget_id, reservation_id)
  ff.timers_of(call)
  local reservation = load(call, budget_id .. ':' .. reservation_id)
  if not reservation then return nil end
  ff.read_reservation_given(reservation)
  ff.read_reservation_state(reservation)
  reservation.reservation_id, reservation.held = reservation_id, ff.read_amounts(reservation.amounts)
  return reservation
end

-- Writes the state and the time of a reservation, and its timer.
local function set_state(call, reservation, state, ends_at, settled_text)
  local text = ff.digits(ends_at)
  command('HSET', reservation.key, RESERVATION.state, ff.reservation_state_text(state, text, settled_text or ''))
  ff.add_noted(ff.timers_of(call), text, ends_at, TIMER.reservation .. reservation.id, text)
end

-- A reservation that was closed before keeps the time of its removal.
local function close(call, reservation, state, settled_text)
  local is_open = reservation.reservation_state == ''
  local ends_at = is_open and call.now + LIMIT.reservation_kept_ms or tonumber(reservation.ends_at)
  set_state(call, reservation, state, ends_at, settled_text)
end

function ff.apply.reservation_made(call, budget, new)
  local id = budget.id .. ':' .. new.reservation_id
  local key = call.base .. RESERVATION.key .. id
  local ends_at = ff.digits(new.ends_at)
  command('HSET', key, RESERVATION.given, ff.reservation_given_text(new.amounts_text, new.spender, new.epoch, call.now_text))
  set_state(call, { id = id, key = key }, '', new.ends_at)
  ff.add_amounts(budget.held, new.amounts)
  budget.is_changed = true
  ff.append(call, EVENT.reservation_made, budget.id,
    table.concat({ new.reservation_id, new.amounts_text, new.spender, new.epoch, ends_at }, '\t'), '')
end

function ff.decide.reserve_budget(call, budget_id, reservation_id, amounts, ttl_ms, execution_id, lease_epoch)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local known = reservation_of(call, budget_id, reservation_id)
  if known then
    if known.reservation_state ~= '' then return ff.reject('reservation_closed', 'state', WORD[known.reservation_state]) end
    if known.spender ~= execution_id or known.amounts ~= amounts then return ff.reject('idempotency_conflict') end
    return { KIND.already_satisfied, 'already_reserved', known.ends_at }
  end
  local held = ff.read_amounts(amounts)
  local over = ff.offending(budget, held)
  if over and budget.is_strict then return ff.hard_breach(budget, over, held, execution_id, lease_epoch) end
  local nothing = ff.no_amounts()
  if not (ff.fits_dimensions(budget, held, nothing) and ff.fits_numbers(budget, held, nothing)) then
    return ff.reject('invalid_input', 'field', 'amounts')
  end
  local ends_at = call.now + tonumber(ttl_ms)
  return { KIND.reserved, ff.digits(ends_at) }, ff.apply.reservation_made, budget,
    { reservation_id = reservation_id, amounts = held, amounts_text = amounts, ends_at = ends_at, spender = execution_id,
      epoch = lease_epoch }
end

function ff.apply.reservation_renewed(call, budget_id, reservation, ends_at)
  set_state(call, reservation, '', ends_at)
  ff.append(call, EVENT.reservation_renewed, budget_id, reservation.reservation_id .. '\t' .. ff.digits(ends_at), '')
end

function ff.decide.renew_reservation(call, budget_id, reservation_id, ttl_ms)
  local known = reservation_of(call, budget_id, reservation_id)
  if not known then return ff.reject('reservation_not_found') end
  -- Until its end is applied, its amounts are held, so it can be renewed.
  if known.reservation_state ~= '' then return ff.reject('reservation_closed', 'state', WORD[known.reservation_state]) end
  local ends_at = call.now + tonumber(ttl_ms)
  return { KIND.renewed, ff.digits(ends_at) }, ff.apply.reservation_renewed, budget_id, known, ends_at
end

local function ended_text(reservation)
  return reservation.reservation_id .. '\t' .. reservation.amounts
end

local function free(call, budget, reservation, state)
  ff.take_amounts(budget.held, reservation.held, false)
  ff.clear_refusals(budget)
  budget.is_changed = true
  close(call, reservation, state)
end

function ff.apply.reservation_released(call, budget, reservation)
  ff.append(call, EVENT.reservation_released, budget.id, ended_text(reservation), '')
  free(call, budget, reservation, RESERVATION_STATE.released)
end

function ff.apply.reservation_lapsed(call, budget, reservation)
  ff.append(call, EVENT.reservation_lapsed, budget.id, ended_text(reservation), '')
  free(call, budget, reservation, RESERVATION_STATE.lapsed)
end

function ff.decide.release_reservation(call, budget_id, reservation_id)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local known = reservation_of(call, budget_id, reservation_id)
  if not known then return ff.reject('reservation_not_found') end
  if known.reservation_state ~= '' then return { KIND.already_satisfied, 'not_open' } end
  return KIND.reservation_released, ff.apply.reservation_released, budget, known
end

-- Splits a settlement into the part that the budget covers and the rest.
local function split(budget, used, held)
  local deltas, overrun = ff.no_amounts(), ff.no_amounts()
  for i = 1, #used.names do
    local name = used.names[i]
    local amount, hard, own = used.of[name], budget.hard.of[name] or 0, held.of[name] or 0
    local room = amount
    if hard > 0 and budget.is_strict then
      room = math.max(0, hard - ((budget.used.of[name] or 0) + (budget.held.of[name] or 0) - own))
    end
    -- Amounts that were held for it are covered, even if the limit was changed since.
    local covered = math.min(amount, math.max(own, room))
    if covered > 0 then ff.set_amount(deltas, name, covered) end
    if amount > covered then ff.set_amount(overrun, name, amount - covered) end
  end
  return deltas, overrun
end

function ff.apply.reservation_settled(call, budget, reservation, s)
  if s.closes_day then ff.apply.budget_day_closed(call, budget) end
  ff.append(call, EVENT.reservation_settled, budget.id, table.concat({ reservation.reservation_id, ff.amounts_text(s.held),
    ff.amounts_text(s.deltas), ff.amounts_text(s.overrun), ff.counter_text(budget.reset_count), reservation.spender, s.epoch,
    s.is_stale and '1' or '' }, '\t'), '')
  ff.take_amounts(budget.held, s.held, false)
  ff.add_amounts(budget.used, s.deltas)
  ff.add_amounts(budget.over, s.overrun)
  ff.add_amounts(budget.spent, s.deltas)
  ff.add_amounts(budget.over_day, s.overrun)
  for i = 1, #s.overrun.names do ff.mark_refused(budget, s.overrun.names[i], s.overrun.of[s.overrun.names[i]]) end
  ff.clear_refusals(budget)
  ff.touch_budget(call, budget)
  ff.enter_ledger(call, budget, s.ledger, reservation.spender, s.epoch, 'attributed', s.deltas, s.overrun)
  close(call, reservation, RESERVATION_STATE.settled, s.usage_text)
end

function ff.decide.settle_reservation(call, budget_id, reservation_id, usage, lease_epoch)
  local budget = ff.budget_of(call, budget_id)
  if not budget then return ff.reject('budget_not_found') end
  local known = reservation_of(call, budget_id, reservation_id)
  if not known then return ff.reject('reservation_not_found') end
  local was = WORD[known.reservation_state] or ff.damaged('its state is unreadable')
  if was == 'settled' then
    if known.settled ~= usage then return ff.reject('idempotency_conflict') end
    return { KIND.already_satisfied, 'already_settled' }
  end
  local held = was == 'open' and known.held or ff.no_amounts()
  local used = ff.read_amounts(usage)
  -- What was reserved is counted in any case.
  if not (ff.fits_dimensions(budget, used, known.held) and ff.fits_numbers(budget, used, held)) then
    return ff.reject('invalid_input', 'field', 'usage')
  end
  local deltas, overrun = split(budget, used, held)
  local epoch = lease_epoch ~= '' and lease_epoch or known.lease_epoch
  local ledger = ff.ledger_of(call, budget_id, known.spender)
  return { KIND.settled, ff.amounts_text(overrun), was }, ff.apply.reservation_settled, budget, known,
    { held = held, usage_text = usage, deltas = deltas, overrun = overrun, epoch = epoch, ledger = ledger,
      is_stale = ff.is_stale(ledger, epoch), closes_day = ff.check_day(call, budget) }
end

function ff.apply.reservation_forgotten(call, reservation)
  command('UNLINK', reservation.key)
  ff.remove(ff.timers_of(call), TIMER.reservation .. reservation.id)
  local budget_id, reservation_id = string.match(reservation.id, '^([^:]*):(.*)$')
  ff.append(call, EVENT.reservation_forgotten, budget_id, reservation_id, '')
end

local function lapse(call, reservation, budget)
  ff.apply.reservation_lapsed(call, budget, reservation)
end

function ff.due.reservation(call, id)
  local budget_id, reservation_id = string.match(id, '^([^:]*):(.*)$')
  local reservation = reservation_of(call, budget_id, reservation_id) or ff.damaged('the record is missing')
  local member, at = TIMER.reservation .. id, tonumber(reservation.ends_at)
  if reservation.reservation_state ~= '' then
    return ff.due_step(call, member, reservation, at, ff.apply.reservation_forgotten)
  end
  local budget = ff.budget_of(call, budget_id) or ff.damaged('its budget is missing')
  return ff.due_step(call, member, reservation, at, lapse, budget)
end
