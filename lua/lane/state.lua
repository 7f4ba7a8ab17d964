-- pause_lane, drain_lane, resume_lane: see model/lane/state.ts. A lane has a record only if it was ever paused or
-- drained. The header has the number of paused and draining lanes: while it is zero, no call reads a record.

local load = ff.record('lane', 'state')

local WORD = { [LANE_STATE.open] = 'open', [LANE_STATE.paused] = 'paused', [LANE_STATE.draining] = 'draining' }

local function is_stated(letter)
  return letter == LANE_STATE.paused or letter == LANE_STATE.draining
end

local function read_state(call, lane_id)
  local lane = load(call, lane_id)
  if not lane then return '' end
  ff.read_lane_state(lane)
  return lane.lane_state
end

-- The same; nil when it is unreadable.
local function readable_state(call, lane_id)
  local ran, state = pcall(read_state, call, lane_id)
  if not ran then ff.contain(state) end
  return ran and (state == '' or is_stated(state)) and state or nil
end

-- The letter of a lane's state; nothing when it is open. Called only while some lane has a state.
function ff.state_of_lane(call, lane_id)
  return readable_state(call, lane_id) or ff.damaged('the record of lane ' .. lane_id .. ' is unreadable: pause or resume the lane')
end

-- The stored letter; nothing when it is damaged. For hints, and for counting.
local function stored_letter(call, lane_id)
  local text = guarded('HGET', call.base .. LANE.key .. lane_id, LANE.state)
  return type(text) == 'string' and string.match(text, '^[^\t]*') or ''
end

-- Whether a lane is paused, so that no worker is told of its work.
function ff.is_silent(call, lane_id)
  return call.stated > 0 and stored_letter(call, lane_id) == LANE_STATE.paused
end

-- Counts the paused and draining lanes again after the header with their number was lost.
function ff.count_stated(call)
  local lanes, count = ff.lanes(call), 0
  for i = 1, #lanes do
    if is_stated(stored_letter(call, lanes[i])) then count = count + 1 end
  end
  call.stated = count
  if count > 0 then ff.renew_lasting(call) end
end

-- Announces all work of a lane that was paused.
local function wake(call, lane_id)
  local names = guarded('SMEMBERS', call.base .. KEY.queues .. lane_id)
  local metered = ff.metered_names(call, lane_id)
  for i = 1, #metered do names[#names + 1] = metered[i] end
  for i = 1, #names do
    local head = guarded('ZRANGE', call.base .. KEY.queue .. lane_id .. '\t' .. names[i], 0, 0)[1]
    if head then ff.announce_work(call, lane_id, names[i], ff.priority_of(call, head)) end
  end
end

-- Writes the state of a lane, and the number of lanes with a state in the header.
local function change(call, lane_id, from, to, requested_by, reason)
  local key = call.base .. LANE.key .. lane_id
  -- A longer earlier text can be in the second hash. The record can be none.
  command('DEL', key, key .. SUFFIX.details)
  command('HSET', key, LANE.state, ff.lane_state_text(is_stated(to) and to or '', call.now_text),
    LANE.state_changed_by, ff.fit(key, LANE.state_changed_by, requested_by), LANE.state_reason, ff.fit(key, LANE.state_reason, reason))
  ff.enter_lane(call, lane_id)
  call.stated = call.stated + (is_stated(to) and 1 or 0) - (is_stated(from) and 1 or 0)
  ff.renew_lasting(call)
  if from == LANE_STATE.paused then wake(call, lane_id) end
end

function ff.apply.lane_paused(call, lane_id, from, requested_by, reason)
  ff.append(call, EVENT.lane_paused, lane_id, requested_by, reason)
  change(call, lane_id, from, LANE_STATE.paused, requested_by, reason)
end

function ff.apply.lane_drained(call, lane_id, from, requested_by, reason)
  ff.append(call, EVENT.lane_drained, lane_id, requested_by, reason)
  change(call, lane_id, from, LANE_STATE.draining, requested_by, reason)
end

function ff.apply.lane_resumed(call, lane_id, from, requested_by, reason)
  ff.append(call, EVENT.lane_resumed, lane_id, requested_by, reason)
  change(call, lane_id, from, LANE_STATE.open, requested_by, reason)
end

-- The current state of a lane, after checking all keys that its change writes; and whether its record is unreadable, so
-- that it counts as open and is written anew.
local function state_before(call, lane_id)
  ff.is_new_lane(call, lane_id)
  command('ZCARD', call.base .. KEY.metered .. lane_id)
  local state = readable_state(call, lane_id)
  return is_stated(state) and state or LANE_STATE.open, not state
end

function ff.decide.pause_lane(call, lane_id, reason, requested_by)
  local from = state_before(call, lane_id)
  if from == LANE_STATE.paused then return { KIND.already_satisfied, 'already_paused' } end
  return { KIND.lane_paused, WORD[from] }, ff.apply.lane_paused, lane_id, from, requested_by, reason
end

function ff.decide.drain_lane(call, lane_id, reason, requested_by)
  local from = state_before(call, lane_id)
  if from == LANE_STATE.draining then return { KIND.already_satisfied, 'already_draining' } end
  return { KIND.lane_drained, WORD[from] }, ff.apply.lane_drained, lane_id, from, requested_by, reason
end

function ff.decide.resume_lane(call, lane_id, reason, requested_by)
  local from, is_damaged = state_before(call, lane_id)
  if from == LANE_STATE.open and not is_damaged then return { KIND.already_satisfied, 'already_open' } end
  return { KIND.lane_resumed, WORD[from] }, ff.apply.lane_resumed, lane_id, from, requested_by, reason
end

-- read_lane: lane_id. Answers the pairs of its record, and those of its long values.
function ff.query.read_lane(call, lane_id)
  local key = call.base .. LANE.key .. lane_id
  return { command('HGETALL', key), command('HGETALL', key .. SUFFIX.details) }
end
