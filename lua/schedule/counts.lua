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

-- By lane, how many more executions are in each situation than before the call, by its letter. A table that a call leaves is
-- used by the next.
local sums, spare = {}, nil

-- A call begins with none.
function ff.no_moves()
  if next(sums) then sums = {} end
end

local function letters_of(lane_id)
  local letters = spare or {}
  sums[lane_id], spare = letters, nil
  return letters
end

-- Executions of a lane leave one situation for another: they come from nil when they are new, and go to nil when they are
-- purged. One, if not said otherwise.
function ff.tally(_, lane_id, from, to, moved)
  local letters = sums[lane_id] or letters_of(lane_id)
  moved = moved or 1
  if from then letters[from] = (letters[from] or 0) - moved end
  if to then letters[to] = (letters[to] or 0) + moved end
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
  for letter, change in pairs(sums[name] or {}) do
    if not ff.is_terminal(letter) then live = live + change end
  end
  return live
end

-- Writes what changed.
function ff.settle_tallies(call)
  call.counted = false
  for lane_id, letters in pairs(sums) do
    local key = call.base .. KEY.counts .. lane_id
    for letter, change in pairs(letters) do
      if change ~= 0 then attempted('HINCRBY', key, letter, change) end
      letters[letter] = nil
    end
    sums[lane_id], spare = nil, letters
  end
end
