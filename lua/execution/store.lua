-- Reading and writing the stored facts of an execution. `F` maps the name of a fact to its field (lua/layout.ts).

-- Loads the named facts of an execution, or nil when it does not exist. Unset facts are nil.
-- `fields` is a list made by `ff.fields`, whose first fact is the situation.
function ff.load(call, execution_id, fields)
  local uuid = ff.uuid(execution_id)
  local key = call.base .. uuid
  local values = store('HMGET', key, unpack(fields))
  if not values[1] then return nil end
  local execution = { id = execution_id, uuid = uuid, key = key, situation = values[1] }
  local names = fields.names
  for i = 2, #names do
    local value = values[i]
    if value and value ~= '' then execution[names[i]] = value end
  end
  return execution
end

-- A list of fields to load, made once per operation when the library is loaded.
function ff.fields(...)
  local names = { 'situation', ... }
  local fields = { names = names }
  for i = 1, #names do fields[i] = F[names[i]] end
  return fields
end

-- Changes to an execution, collected and written by one HSET. A fact is unset by writing an empty field.
function ff.change(execution)
  return { 'HSET', execution.key, size = 2, execution = execution }
end

function ff.set(change, name, value)
  change.execution[name] = value
  local size = change.size
  change[size + 1] = F[name]
  change[size + 2] = value
  change.size = size + 2
end

-- Unsets a fact that the execution was loaded with.
function ff.clear(change, name)
  local execution = change.execution
  if execution[name] == nil then return end
  ff.set(change, name, '')
  execution[name] = nil
end

function ff.write(change)
  store(unpack(change, 1, change.size))
end

-- Moves the execution into a situation; the twin of `become` in model/core/recipe.ts.
function ff.become(call, change, situation, due_at)
  ff.set(change, 'situation', situation)
  ff.set(change, 'dueAt', due_at or '')
  ff.set(change, 'lastTransitionAt', call.now)
end

-- Ends the ownership of whoever held the execution. The facts of a lease count only while the execution is active;
-- those that are long are also emptied, for their memory.
function ff.release_lease(change)
  local execution = change.execution
  if not ff.is_active(execution.situation) then return end
  if execution.situation == 'lease_revoked' then ff.forget(execution, D.leaseRevokeReason) end
  ff.set(change, 'currentLeaseId', '')
  ff.set(change, 'currentWorker', '')
end

-- Ends the execution; the twin of `end` in model/core/recipe.ts. Needs nextAttempt and attemptTimeoutRemainingMs
-- loaded when it may be runnable, and laneId and requiredCapabilities when it may stand in a queue.
function ff.finish(call, change, situation, purge_at)
  local execution = change.execution
  if ff.is_claimable(execution.situation) then ff.dequeue(call, execution) end
  ff.release_lease(change)
  ff.clear(change, 'nextAttempt')
  ff.clear(change, 'attemptTimeoutRemainingMs')
  ff.become(call, change, situation, purge_at)
  ff.retain(call, execution, purge_at)
end

-- Ends a running execution: what `ff.finish` writes in this case, without collecting it first.
function ff.end_running(call, execution, situation, purge_at)
  store('HSET', execution.key, F.situation, situation, F.dueAt, purge_at, F.lastTransitionAt, call.now,
    F.currentLeaseId, '', F.currentWorker, '')
  ff.retain(call, execution, purge_at)
end

-- Writes a text of the detail hash.
function ff.note(execution, field, text)
  store('HSET', execution.key .. X.details, field, text)
end

-- Removes a text of the detail hash.
function ff.forget(execution, field)
  store('HDEL', execution.key .. X.details, field)
end

-- The number that a fact holds, 0 when it is unset.
function ff.count(value)
  return tonumber(value) or 0
end
