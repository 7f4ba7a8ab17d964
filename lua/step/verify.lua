-- Long values of steps for `verifyPartition`: the steps of their execution name each of them.

-- The names of long values among the steps under a key, by the texts of the steps.
local function named_by_steps(key)
  local named, place = {}, 0
  while true do
    local step = guarded('HGET', key, ff.digits(place))
    if type(step) ~= 'string' then return named end
    local name, index, bytes = string.match(step, '^([^\t]*)\t(%d*)\t[^\t]*\t[^\t]*\t(%d*)')
    if (tonumber(bytes) or 0) > LIMIT.max_claimed_input_bytes then
      local text = command('HGET', key, STEP.key .. name .. ':' .. (index == '' and '0' or index))
      local own = text and string.match(text, '^%d+\t(.*)$')
      if own then named[own] = true end
    end
    place = place + 1
  end
end

-- Names of keys of long values. Removes values that no step names, and lists those again that a step names. Answers how
-- many were wrong.
function ff.verify_values(call, ...)
  local found, wrong, last, named = { ... }, 0, nil, nil
  for i = 1, #found do
    local id = string.sub(found[i], 1, LIMIT.id_length)
    local name, key = string.sub(found[i], LIMIT.id_length + #SUFFIX.value + 1), call.base .. id .. SUFFIX.steps
    local names = guarded('HGET', key, STEP.long)
    names = type(names) == 'string' and names or ''
    if not string.find(' ' .. names .. ' ', ' ' .. name .. ' ', 1, true) then
      if last ~= id then last, named = id, named_by_steps(key) end
      if named[name] then
        command('HSET', key, STEP.long, names == '' and name or names .. ' ' .. name)
        wrong = wrong + 1
      else
        wrong = wrong + command('UNLINK', call.base .. found[i])
      end
    end
  end
  return wrong
end
