-- The lanes of a partition that had work or a state, in the order of their names.

function ff.lanes(call)
  return command('ZRANGE', call.base .. KEY.lanes, 0, -1)
end

-- At most so many lanes after this one, or the first ones when it is empty.
function ff.lanes_after(call, after, limit)
  return command('ZRANGEBYLEX', call.base .. KEY.lanes, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
end

-- Whether a lane is not entered yet. Also checks the key before something is written.
function ff.is_new_lane(call, lane_id)
  return not command('ZSCORE', call.base .. KEY.lanes, lane_id)
end

-- Answers whether the lane was new, or stood in another place.
function ff.enter_lane(call, lane_id)
  return command('ZADD', call.base .. KEY.lanes, 'CH', 0, lane_id) == 1
end
