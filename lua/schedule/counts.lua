-- How many executions a lane has in each situation; the twin of model/schedule/counts.ts. What the transitions of a call
-- change is summed, and written when it ends: a number per lane and situation that changed. Numbers are shown and nothing
-- is decided by them: a hash that is none holds no work up, and is named by `verify_partition`.

local last_naming, last_lane_id

-- The lane of an execution. Many executions of a call mostly have one naming.
function ff.lane_of(execution)
  local naming = execution.naming
  if naming ~= last_naming then
    local _, lane_id = ff.split_naming(naming)
    last_naming, last_lane_id = naming, lane_id
  end
  return last_lane_id
end

-- An execution of a lane leaves one situation for another: it comes from nil when it is new, and goes to nil when it is
-- purged.
function ff.tally(call, lane_id, from, to)
  local lanes = call.tallies
  if not lanes then
    lanes = {}
    call.tallies = lanes
  end
  local counts = lanes[lane_id]
  if not counts then
    counts = {}
    lanes[lane_id] = counts
  end
  if from then counts[from] = (counts[from] or 0) - 1 end
  if to then counts[to] = (counts[to] or 0) + 1 end
end

local TEXTS = { [-1] = '-1', [1] = '1' }

-- Writes what changed.
function ff.settle_tallies(call)
  for lane_id, counts in pairs(call.tallies) do
    local key = call.base .. KEY.counts .. lane_id
    for letter, change in pairs(counts) do
      if change ~= 0 then server.pcall('HINCRBY', key, letter, TEXTS[change] or change) end
    end
  end
end
