-- Notices of a partition to its watchers; the twin of model/partition/notices.ts. Their marks follow the position in
-- the header: `w` when the next entry of the log is to be announced, then the time until which ends of executions are,
-- then `s` and the time until which streams of some execution are. A partition without marks runs none of this code.
-- After the marks follow lasting values: the version of the deployment's settings, once they were changed; the number
-- of lanes that are paused or draining, if any; and the position up to which no reader needs the log.

function ff.read_marks(call, marks)
  local watched, ends_until, streams_until, lasting, stated, version =
    string.match(marks, '^\t(w?)(%d*)s?(%d*)(\t?l?(%d*)v?(%d*)\t?f?%d*)$')
  if not watched then return ff.count_stated(call) end
  call.lasting, call.version, call.stated = lasting, tonumber(version) or 1, tonumber(stated) or 0
  if watched == '' and ends_until == '' and streams_until == '' then return end
  call.marks = true
  call.watched = watched == 'w'
  if ends_until ~= '' then
    call.ends_until = tonumber(ends_until)
    call.ends = {}
  end
  call.streams_until = tonumber(streams_until) or false
end

function ff.marks_text(call)
  local lasting = call.lasting
  if not call.watched and not call.ends_until and not call.streams_until and lasting == '' then return '' end
  return '\t' .. (call.watched and 'w' or '') .. (call.ends_until and ff.digits(call.ends_until) or '')
    .. (call.streams_until and 's' .. ff.digits(call.streams_until) or '') .. lasting
end

-- A lasting value has changed: the header is written in any case, and the log is trimmed with its next entry. `floor`
-- is a text that can be empty.
local function set_lasting(call, floor)
  local lanes = call.stated > 0 and 'l' .. ff.digits(call.stated) or ''
  local lasting = lanes .. (call.version > 1 and 'v' .. ff.digits(call.version) or '')
  if lasting ~= '' then lasting = '\t' .. lasting end
  if floor ~= '' then lasting = lasting .. '\tf' .. floor end
  call.lasting, call.marks, call.marked, call.text = lasting, true, true, false
  call.trims_from = 0
end

local function floor_of(call)
  return string.match(call.lasting, '\tf(%d+)$') or ''
end

-- The version of the settings, or the number of lanes with a state, has changed.
function ff.renew_lasting(call)
  set_lasting(call, floor_of(call))
end

-- Readers need the log after this position; nil when there are no readers.
function ff.hold_back(call, floor)
  set_lasting(call, floor and ff.digits(floor) or '')
end

-- Most entries of the log: entries that readers still need are not trimmed, up to a bound.
function ff.log_limit(call)
  local max_entries = call.settings.log_max_entries
  if call.lasting == '' then return max_entries end
  local floor = floor_of(call)
  if floor == '' then return max_entries end
  local needed = math.min(call.sequence + 1 - floor, max_entries * LIMIT.held_log_factor)
  return needed > tonumber(max_entries) and ff.digits(needed) or max_entries
end

-- The first entry of a call uses up its mark, and removes a mark that has expired.
function ff.pass_marks(call)
  if call.watched then
    call.watched = false
    call.announces_log = true
  end
  if call.ends_until and call.ends_until <= call.now then call.ends_until = false end
  if call.streams_until and call.streams_until <= call.now then call.streams_until = false end
end

-- Records an execution that ended. Called only while ends are watched.
function ff.note_end(call, id)
  local ends = call.ends
  ends[#ends + 1] = id
end

-- Runs after everything is written.
function ff.announce_log(call)
  -- Marks that are used up do not apply to the next call.
  call.marks = call.watched or call.ends_until ~= false or call.streams_until ~= false
  if call.noted_streams then ff.announce_streams(call) end
  local partition = call.partition
  if call.announces_log then ff.publish(call, CHANNEL.appended, partition) end
  if not call.ends_until then return end
  local ends = call.ends
  for from = 1, #ends, LIMIT.max_noticed_ends do
    local to = math.min(#ends, from + LIMIT.max_noticed_ends - 1)
    ff.publish(call, CHANNEL.ended, partition .. '\t' .. table.concat(ends, ',', from, to))
  end
end
