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

-- The moves of the call: lanes, situations before and behind, and how many moved so. Commands of one kind mostly follow each
-- other: their moves are one entry.
local lanes, sources, targets, counts, size = {}, {}, {}, {}, 0

-- A call begins with none.
function ff.no_moves()
  size = 0
end

-- An execution of a lane leaves one situation for another: it comes from nil when it is new, and goes to nil when it is
-- purged.
function ff.tally(_, lane_id, from, to)
  if size > 0 and targets[size] == to and sources[size] == from and lanes[size] == lane_id then
    counts[size] = counts[size] + 1
    return
  end
  size = size + 1
  lanes[size], sources[size], targets[size], counts[size] = lane_id, from, to, 1
end

-- The same for the members of a flow.
function ff.tally_member(call, execution, from, to)
  if not ff.is_member(execution) then return end
  local flow = ff.flow_of(execution)
  if flow then ff.tally(call, LIMIT.counted_flow .. flow, from, to) end
end

-- What moved so far among the situations of what is counted under a name: how many more have not ended.
function ff.live_moves(name)
  local live = 0
  for i = 1, size do
    if lanes[i] == name then
      if targets[i] and not ff.is_terminal(targets[i]) then live = live + counts[i] end
      if sources[i] and not ff.is_terminal(sources[i]) then live = live - counts[i] end
    end
  end
  return live
end

local sums = {}

local function add(situation, count)
  if situation then sums[situation] = (sums[situation] or 0) + count end
end

local function write(call, lane_id, letter, change)
  local text = change < 0 and '-' .. ff.digits(-change) or ff.digits(change)
  guarded('HINCRBY', call.base .. KEY.counts .. lane_id, letter, text)
end

-- Writes what changed.
function ff.settle_tallies(call)
  if size == 1 then
    if sources[1] then write(call, lanes[1], sources[1], -counts[1]) end
    if targets[1] then write(call, lanes[1], targets[1], counts[1]) end
    size = 0
    return
  end
  for i = 1, size do
    local lane_id = lanes[i]
    for j = lane_id and i or size + 1, size do
      if lanes[j] == lane_id then
        add(sources[j], -counts[j])
        add(targets[j], counts[j])
        lanes[j] = false
      end
    end
    for letter, change in pairs(sums) do
      if change ~= 0 then write(call, lane_id, letter, change) end
      sums[letter] = nil
    end
  end
  size = 0
end
