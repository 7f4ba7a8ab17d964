-- The steps of an execution: a hash beside its record (lua/layout.ts), which exists from the first step on. The twins
-- of model/step/recipes.ts and contents.ts.

-- Whether an execution has recorded steps.
function ff.has_steps(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.steps, 1, true) ~= nil
end

-- Number of steps under a key, and total bytes of their values.
function ff.totals_of_steps(execution, key)
  if not ff.has_steps(execution) then return 0, 0 end
  local totals = guarded('HGET', key, STEP.totals)
  local count, bytes = string.match(type(totals) == 'string' and totals or '', '^(%d+)\t(%d+) *$')
  if not count then ff.damaged('the steps are missing') end
  return tonumber(count), tonumber(bytes)
end

-- A compact list is searched from its start, which costs more than the rest of a step when it is long: one long value
-- makes the server convert it to a table.
local function totals_text(count, bytes)
  local text = ff.digits(count) .. '\t' .. ff.digits(bytes)
  return count < LIMIT.listed_steps and text or text .. LIMIT.padding
end

-- The facts of a step beside its value and the time.
function ff.steps_given_text(name, index, kind, failed, bytes, encoding)
  return name .. '\t' .. index .. '\t' .. kind .. '\t' .. failed .. '\t' .. bytes .. '\t' .. encoding
end

-- Keeps a long value under a key of its own. Answers what stands for it among the steps.
local function keep_long(execution, key, name)
  if name == '' then return '\n' end
  local base, names = execution.key .. SUFFIX.value, guarded('HGET', key, STEP.long)
  ff.adopt_bytes(base, name, base .. name)
  command('HSET', key, STEP.long, type(names) == 'string' and names .. ' ' .. name or name)
  return '\t' .. name
end

-- `steps` is the table in lua/step/record.lua.
function ff.apply.step_recorded(call, steps, id, text, value_at, value, bytes)
  local execution, key, count = steps.execution, steps.key, steps.count
  if count == 0 then
    -- A foreign key stands in the place of the steps.
    command('UNLINK', key)
    ff.note_extra(execution, FIELD.steps)
    command('HSET', execution.key, FIELD.life, ff.same_life(execution))
  end
  local place = ff.digits(count)
  steps.count, steps.bytes = count + 1, steps.bytes + bytes
  local stored = value_at == LIMIT.bytes_here and '\n' .. value or keep_long(execution, key, value_at)
  command('HSET', key, STEP.totals, totals_text(count + 1, steps.bytes), STEP.key .. id, place .. stored,
    place, text .. '\t' .. call.now_text)
  ff.append(call, EVENT.step_recorded, execution.id, text, '')
end

-- Units of work that the purge of an execution costs; the twin of `unitsOfPurge`. Lost steps cost nothing.
function ff.units_of_purge(execution)
  local last = ff.last_stream_of(execution)
  local units = LIMIT.purge_units + (last == '' and 0 or tonumber(last) + 1)
  if not ff.has_steps(execution) then return units end
  local totals = guarded('HGET', execution.key .. SUFFIX.steps, STEP.totals)
  local bytes = type(totals) == 'string' and tonumber(string.match(totals, '^%d+\t(%d+)')) or 0
  return units + math.floor(bytes / LIMIT.max_claimed_input_bytes)
end

-- Removes the steps of the execution under a key.
function ff.remove_steps(key)
  local names, keys = guarded('HGET', key .. SUFFIX.steps, STEP.long), { key .. SUFFIX.steps }
  for name in string.gmatch(type(names) == 'string' and names or '', '%S+') do
    keys[#keys + 1] = key .. SUFFIX.value .. name
  end
  for from = 1, #keys, LIMIT.max_unsettled do
    command('UNLINK', unpack(keys, from, math.min(#keys, from + LIMIT.max_unsettled - 1)))
  end
end

-- Drops every step. The caller writes `life`.
function ff.discard_steps(execution)
  ff.remove_steps(execution.key)
  ff.drop_extra(execution, FIELD.steps)
end
