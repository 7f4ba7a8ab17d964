-- Reads of metered work; see model/metering/reads.ts

-- list_metered_heads: lane id, position after which it starts (or empty), limit. Answers name and priority of each
-- queue, in the order of their positions.
function ff.query.list_metered_heads(call, lane_id, after, limit)
  local heads = {}
  if ff.is_silent(call, lane_id) then return heads end
  local from = after == '' and '-' or '(' .. after
  local places = command('ZRANGEBYLEX', call.base .. KEY.metered .. lane_id, from, '+', 'LIMIT', 0, limit)
  for i = 1, #places do
    local needs, kind = ff.parts_of_place(places[i])
    local name = needs and needs .. '\t' .. kind
    local id = name and command('ZRANGE', call.base .. KEY.queue .. lane_id .. '\t' .. name, 0, 0)[1]
    if id then
      -- An unreadable record has no priority; a claim will set it aside.
      local given = guarded('HGET', call.base .. id, FIELD.given)
      heads[#heads + 1] = name
      heads[#heads + 1] = type(given) == 'string' and string.match(given, '^%d+') or ''
    end
  end
  return heads
end
