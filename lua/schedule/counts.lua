-- Number of executions of a lane in each situation; the twin of model/schedule/counts.ts. The changes of a call are
-- summed, and written when it ends: a number per lane and situation that changed. A hash of another type stops nothing,
-- and `verify_partition` reports it. Counts that the server refuses to write do not stop the call either.

local last_naming, last_lane_id

-- The lane of an execution. Executions of a call mostly have the same naming.
function ff.lane_of(execution)
  local naming = execution.naming
  if naming ~= last_naming then
    local _, lane_id = ff.split_naming(naming)
    last_naming, last_lane_id = naming, lane_id
  end
  return last_lane_id
end

-- By lane, the change of the number of executions in each situation during the call, by letter. The table is reused by
-- the next call.
local sums, spare = {}, nil

-- A call starts without changes.
function ff.no_moves()
  if next(sums) then sums = {} end
end

local function letters_of(lane_id)
  local letters = spare or {}
  sums[lane_id], spare = letters, nil
  return letters
end

-- Moves executions of a lane from one situation to another: `from` is nil for new ones, `to` is nil for purged ones.
-- `moved` defaults to one.
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

-- The change so far in the number of executions under a name that have not ended.
function ff.live_moves(name)
  local live = 0
  for letter, change in pairs(sums[name] or {}) do
    if not ff.is_terminal(letter) then live = live + change end
  end
  return live
end

local function change_count(call, key, letter, change)
  local answer = attempted('HINCRBY', key, letter, change)
  if type(answer) == 'table' and ff.is_refused(answer) and not ff.mark_broken(call) then error(answer) end
end

-- Writes what changed.
function ff.settle_tallies(call)
  call.counted = false
  for lane_id, letters in pairs(sums) do
    local key = call.base .. KEY.counts .. lane_id
    for letter, change in pairs(letters) do
      if change ~= 0 then change_count(call, key, letter, change) end
      letters[letter] = nil
    end
    sums[lane_id], spare = nil, letters
  end
end
