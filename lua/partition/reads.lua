-- Reads. Each answers plain values; their meaning is given to them by the reads of model/, which run on what these return.

-- read_execution: execution_id, with_input, with_result
-- Answers core pairs, detail pairs, input, result; empty lists when the execution does not exist.
function ff.query.read_execution(call, execution_id, with_input, with_result)
  local key = call.base .. execution_id
  local input, result = false, false
  if with_input == '1' then
    input = command('HGET', key, FIELD.input)
    if input == LIMIT.spilled then input = command('GET', key .. SUFFIX.input) end
  end
  if with_result == '1' then
    result = command('HGET', key, FIELD.result)
    if result == LIMIT.spilled then
      result = command('GET', ff.result_key({ key = key, fence = command('HGET', key, FIELD.fence) or '' }))
    end
  end
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details), input, result }
end

-- list_executions: after? (an id), limit
-- Answers ids.
function ff.query.list_executions(call, after, limit_text)
  local limit = tonumber(limit_text)
  local ids = {}
  local from = '-'
  if after ~= '' then
    from = command('ZREVRANGEBYLEX', call.base .. KEY.ids, '[' .. after, '-', 'LIMIT', 0, 1)[1] or '-'
  end
  local bound = from == '-' and '-' or '[' .. from
  local leaves = command('ZRANGEBYLEX', call.base .. KEY.ids, bound, '+', 'LIMIT', 0, limit + 1)
  for i = 1, #leaves do
    local room = limit - #ids
    if room <= 0 then break end
    local start = after ~= '' and '(' .. after or '-'
    local page = command('ZRANGEBYLEX', call.base .. KEY.leaf .. leaves[i], start, '+', 'LIMIT', 0, room)
    for j = 1, #page do ids[#ids + 1] = page[j] end
  end
  return ids
end

-- list_lanes
function ff.query.list_lanes(call)
  return command('SMEMBERS', call.base .. KEY.lanes)
end

-- read_log: after, limit
-- Answers entries after the position, and the header: generation, position and time of the newest one.
function ff.query.read_log(call, after, limit)
  return {
    command('XRANGE', call.log_key, '(' .. after .. '-18446744073709551615', '+', 'COUNT', limit),
    call.generation, ff.digits(call.sequence), ff.digits(call.time),
  }
end
