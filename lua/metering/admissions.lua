-- Admissions that metered claims used: one hash per partition, by short lease id. The twins of model/metering/entity.ts
-- and returning.ts. Unmetered work does not use this file.

local HOLDING = '^(%a)\t([^\t]*)\t([^\t]*)\t(%d*)$'

-- The ids of a list.
function ff.listed(text)
  local ids, size = {}, 0
  for at = 1, #text, LIMIT.id_length + 1 do
    size = size + 1
    ids[size] = string.sub(text, at, at + LIMIT.id_length - 1)
  end
  return ids
end

-- State, owner, meters and due time of an admission; nil when it is missing.
function ff.admission_of(call, id)
  local text = command('HGET', call.base .. KEY.admissions, id)
  if not text then return nil end
  local state, owner, meters, due_at = string.match(text, HOLDING)
  if not state then ff.damaged('the admission is unreadable') end
  return { id = id, state = state, owner = owner, meters = meters, due_at = due_at }
end

-- Which of these admissions are in the outbox. The rest of their texts is of no interest to those that leave it.
function ff.returned_among(call, ids)
  local texts, returned = command('HMGET', call.base .. KEY.admissions, unpack(ids)), {}
  for i = 1, #ids do
    local text = texts[i]
    if text and string.sub(text, 1, 1) == ADMISSION_STATE.returned then returned[#returned + 1] = ids[i] end
  end
  return returned
end

local function write(call, id, state, owner, meters, due_at)
  command('HSET', call.base .. KEY.admissions, id, state .. '\t' .. owner .. '\t' .. meters .. '\t' .. due_at)
end

local function set_timer(call, id, at)
  local text = ff.digits(at)
  ff.add_noted(ff.timers_of(call), text, at, TIMER.admission .. id, text)
end

-- A claim binds the admission whose id is its lease id; it is written with those of the other candidates. `binding` is
-- a list of the admissions and their texts, alternating.
function ff.bind_admission(binding, execution, fence, meters)
  local size = #binding
  binding[size + 1] = ff.lease_of(fence)
  binding[size + 2] = ADMISSION_STATE.bound .. '\t' .. execution.id .. '\t' .. meters .. '\t'
end

function ff.bind_admissions(call, binding)
  if #binding > 0 then command('HSET', call.base .. KEY.admissions, unpack(binding)) end
end

-- A field of an execution that lost its owner, where it was not loaded. A damaged one is treated as absent: its
-- policies free the slots when they check.
local function stored(execution, field)
  local value = guarded('HGET', execution.key, field)
  if value == LIMIT.spilled then value = guarded('HGET', execution.key .. SUFFIX.details, field) end
  return type(value) == 'string' and value or ''
end

-- The text of an admission with which an execution was claimed; nil when there was none, or it is back already. Another
-- execution may have been claimed with the same lease id.
local function bound_text(call, id, execution_id)
  local text = guarded('HGET', call.base .. KEY.admissions, id)
  local bound = ADMISSION_STATE.bound .. '\t' .. execution_id .. '\t'
  return type(text) == 'string' and string.sub(text, 1, #bound) == bound and text or nil
end

-- The admission by which an execution is owned, and its text; false when there is none.
function ff.bound_admission(call, execution)
  if not string.find(execution.extras, FIELD.needs, 1, true) then return false end
  local id = ff.lease_of(execution.fence)
  local text = bound_text(call, id, execution.id)
  return text and id or false, text
end

-- Called when an owner loses an execution that has extras, other than by its own completion. Its slots are returned
-- after all else is done, by the timer loop: there may be no worker to do that.
function ff.note_ownership_end(call, execution)
  if not string.find(execution.extras, FIELD.needs, 1, true) then return end
  local lease_id = ff.lease_of(execution.fence or stored(execution, FIELD.fence))
  if lease_id == '' then return end
  local ended_owners = call.ended_owners or {}
  local size = #ended_owners
  ended_owners[size + 1], ended_owners[size + 2] = lease_id, execution.id
  call.ended_owners = ended_owners
end

-- Puts a bound admission into the outbox, for `ff.settle_returned`; the log has that at once.
local function put_back(call, id, text, at)
  local returned, at_text = call.returned or {}, ff.digits(at)
  returned[#returned + 1] = { id = id, stored = ADMISSION_STATE.returned .. string.sub(text, 2) .. at_text, at = at, text = at_text }
  call.returned = returned
end

-- A worker frees the slots of what it completed itself, with others, before the grace ends; those of a worker that does
-- not are returned when it ends.
function ff.return_completed(call, id, text)
  put_back(call, id, text, call.now + LIMIT.return_grace_ms)
end

function ff.apply.admission_returned(call, id, text)
  put_back(call, id, text, call.now)
  ff.append(call, EVENT.admission_returned, id)
end

-- Writes the returned admissions.
function ff.settle_returned(call)
  local returned, change = call.returned, {}
  call.returned = false
  local timers = ff.timers_of(call)
  if #returned > 1 then ff.gather(call) end
  -- The last one first, see `ff.add_many`.
  for i = #returned, 1, -1 do
    local it = returned[i]
    change[2 * i - 1], change[2 * i] = it.id, it.stored
    ff.add_noted(timers, it.text, it.at, TIMER.admission .. it.id, it.text)
  end
  ff.set_all(call.base .. KEY.admissions, change)
end

-- Puts the admissions of ended ownerships into the outbox.
function ff.return_admissions(call)
  local ended_owners = call.ended_owners
  call.ended_owners = false
  for i = 1, #ended_owners, 2 do
    local text = bound_text(call, ended_owners[i], ended_owners[i + 1])
    if text then ff.apply.admission_returned(call, ended_owners[i], text) end
  end
  if call.returned and not call.completions then ff.settle_returned(call) end
end

function ff.apply.admission_offered(call, admission)
  local at = call.now + LIMIT.offer_again_ms
  write(call, admission.id, admission.state, admission.owner, admission.meters, ff.digits(at))
  set_timer(call, admission.id, at)
  ff.append(call, EVENT.admission_offered, admission.id)
end

local function forget(call, ids)
  command('HDEL', call.base .. KEY.admissions, unpack(ids))
  -- A call with many ids in one text has few arguments.
  if #ids > 1 then ff.gather(call) end
  local timers = ff.timers_of(call)
  for i = 1, #ids do ff.remove(timers, TIMER.admission .. ids[i]) end
end

function ff.apply.admission_forgotten(call, admission)
  forget(call, { admission.id })
  ff.append(call, EVENT.admission_forgotten, admission.id)
end

function ff.apply.admission_settled(call, ids)
  forget(call, ids)
  for i = 1, #ids do ff.append(call, EVENT.admission_settled, ids[i]) end
end

function ff.apply.admission_voided(call, id)
  local at = call.now + LIMIT.void_memory_ms
  write(call, id, ADMISSION_STATE.void, '', '', ff.digits(at))
  set_timer(call, id, at)
  ff.append(call, EVENT.admission_voided, id)
end

-- Returned admissions are offered until they are settled; void ones are removed when their time has come. Nothing is due
-- for bound ones.
function ff.due.admission(call, id)
  local admission = ff.admission_of(call, id) or ff.damaged('the admission is missing')
  if admission.state == ADMISSION_STATE.returned then
    return { entity = admission, apply = ff.apply.admission_offered, owed = { admission.meters } }
  end
  return ff.due_step(call, TIMER.admission .. id, admission, tonumber(admission.due_at), ff.apply.admission_forgotten)
end
