-- Admissions that metered claims used: one hash of the partition, by short lease id. The twins of model/metering/entity.ts and
-- returning.ts. Work without meters never comes here.

local HOLDING = '^(%a)\t([^\t]*)\t([^\t]*)\t(%d*)$'

-- State, owner, meters, and when something is due for it; nothing when there is none.
function ff.admission_of(call, id)
  local text = command('HGET', call.base .. KEY.admissions, id)
  if not text then return nil end
  local state, owner, meters, due_at = string.match(text, HOLDING)
  if not state then ff.damaged('the admission is unreadable') end
  return { id = id, state = state, owner = owner, meters = meters, due_at = due_at }
end

local function write(call, id, state, owner, meters, due_at)
  command('HSET', call.base .. KEY.admissions, id, state .. '\t' .. owner .. '\t' .. meters .. '\t' .. due_at)
end

local function set_timer(call, id, at)
  local text = ff.digits(at)
  ff.add_noted(ff.timers_of(call), text, at, TIMER.admission .. id, text)
end

-- A claim binds the admission that its lease id is.
function ff.bind_admission(call, execution, fence)
  write(call, string.match(fence, '^%d+\t([^\t]*)'), ADMISSION_STATE.bound, execution.id, '', '')
end

-- What the record says of an execution that is let go, where it was not loaded. Nothing that is damaged is waited for: its
-- slots are found to be free when their policies ask.
local function stored(execution, field)
  local value = guarded('HGET', execution.key, field)
  if value == LIMIT.spilled then value = guarded('HGET', execution.key .. SUFFIX.details, field) end
  return type(value) == 'string' and value or ''
end

-- An owner lets go of an execution that has more than every one; once all is done, its slots are given back.
function ff.note_let_go(call, execution)
  if not string.find(execution.extras, FIELD.needs, 1, true) then return end
  local needs = execution.needs or stored(execution, FIELD.needs)
  local meters = ff.meters_of(needs)
  if not meters then return end
  local fence = execution.fence or stored(execution, FIELD.fence)
  local lease_id = string.match(fence, '^%d*\t([^\t]*)')
  if not lease_id or lease_id == '' then return end
  local let_go = call.let_go or {}
  let_go[#let_go + 1] = { id = lease_id, owner = execution.id, meters = meters }
  call.let_go = let_go
end

function ff.apply.admission_returned(call, let_go)
  local id = let_go.id
  write(call, id, ADMISSION_STATE.returned, let_go.owner, let_go.meters, call.now_text)
  set_timer(call, id, call.now)
  ff.append(call, EVENT.admission_returned, id, let_go.owner .. '\t' .. let_go.meters, '')
end

-- Puts the admissions of what the command let go into the outbox.
function ff.return_admissions(call)
  local let_go = call.let_go
  call.let_go = false
  for i = 1, #let_go do
    local it = let_go[i]
    local text = guarded('HGET', call.base .. KEY.admissions, it.id)
    if type(text) == 'string' and string.sub(text, 1, 1) == ADMISSION_STATE.bound then ff.apply.admission_returned(call, it) end
  end
end

function ff.apply.admission_offered(call, admission)
  local at = call.now + LIMIT.offer_again_ms
  write(call, admission.id, admission.state, admission.owner, admission.meters, ff.digits(at))
  set_timer(call, admission.id, at)
  ff.append(call, EVENT.admission_offered, admission.id)
end

local function forget(call, id)
  command('HDEL', call.base .. KEY.admissions, id)
  ff.remove(ff.timers_of(call), TIMER.admission .. id)
end

function ff.apply.admission_forgotten(call, admission)
  forget(call, admission.id)
  ff.append(call, EVENT.admission_forgotten, admission.id)
end

function ff.apply.admission_settled(call, id)
  forget(call, id)
  ff.append(call, EVENT.admission_settled, id)
end

function ff.apply.admission_voided(call, id)
  local at = call.now + LIMIT.void_memory_ms
  write(call, id, ADMISSION_STATE.void, '', '', ff.digits(at))
  set_timer(call, id, at)
  ff.append(call, EVENT.admission_voided, id)
end

-- Those that were returned are offered until they are settled, void ones are forgotten.
function ff.due.admission(call, id)
  local admission = ff.admission_of(call, id) or ff.damaged('the admission is missing')
  if admission.state == ADMISSION_STATE.returned then
    return { entity = admission, apply = ff.apply.admission_offered, owed = { admission.meters } }
  end
  return { entity = admission, apply = ff.apply.admission_forgotten }
end
