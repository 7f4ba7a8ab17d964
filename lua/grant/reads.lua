-- Reads of schedulers.

-- scan_eligible_executions: lane_id, among, capabilities (`*`, or `=` and a list), kinds, limit
-- Answers ids in the order of the queues.
function ff.query.scan_eligible_executions(call, lane_id, among, capabilities, kinds, limit)
  local offered = capabilities ~= '*' and ff.tokens_of(string.sub(capabilities, 2), '[^,]+')
  local wanted = kinds ~= '' and ff.tokens_of(kinds, '[^\t]+')
  local low, high = LIMIT.first_waiting_score, '+inf'
  if among == 'lost' then low, high = '-inf', '(' .. LIMIT.first_waiting_score end
  local found = {}
  if ff.is_silent(call, lane_id) then return found end
  local names = ff.queue_names(call, lane_id)
  for i = 1, #names do
    local needs, kind = string.match(names[i], '^([^\t]*)\t.-([^\t]*)$')
    if needs and (not wanted or wanted[kind]) and (not offered or ff.covers(offered, needs)) then
      local key = call.base .. KEY.queue .. lane_id .. '\t' .. names[i]
      local entries = command('ZRANGEBYSCORE', key, low, high, 'WITHSCORES', 'LIMIT', 0, limit)
      for j = 1, #entries, 2 do found[#found + 1] = { id = entries[j], score = tonumber(entries[j + 1]) } end
    end
  end
  table.sort(found, ff.by_position)
  local ids = {}
  for i = 1, math.min(tonumber(limit), #found) do ids[i] = found[i].id end
  return ids
end
