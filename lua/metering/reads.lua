-- Reads of metered work; see model/metering/reads.ts

-- Adds lane, name and priority of the queues of a lane after a position, in the order of their positions, at most
-- `room`. Returns the room that is left.
local function add_metered_heads(call, heads, lane_id, after, room)
  local from = after == '' and '-' or '(' .. after
  repeat
    local wanted = room
    local places = command('ZRANGEBYLEX', call.base .. KEY.metered .. lane_id, from, '+', 'LIMIT', 0, wanted)
    for i = 1, #places do
      local needs, kind = ff.parts_of_place(places[i])
      if needs and ff.add_queue_head(call, heads, lane_id, needs .. '\t' .. kind) then room = room - 1 end
      from = '(' .. places[i]
    end
  until room == 0 or #places < wanted
  return room
end

-- list_metered_heads: position after which the first lane starts (or empty), limit, lane ids in order. Answers lane, name
-- and priority of each queue. A damaged place is passed over and takes no room: a page that is not full is the last one.
function ff.query.list_metered_heads(call, after, limit, ...)
  local heads, room = {}, tonumber(limit)
  for i = 1, select('#', ...) do
    local lane_id = select(i, ...)
    if room > 0 and not ff.is_silent(call, lane_id) then room = add_metered_heads(call, heads, lane_id, after, room) end
    after = ''
  end
  return heads
end
