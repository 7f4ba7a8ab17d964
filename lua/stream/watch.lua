-- watch_stream: see model/stream/watch.ts. Until when an execution is watched is stored under a key of its own, which
-- the server collects. The header has the latest such time of the partition: after it, no call reads the keys.

local function watch_key(call, id)
  return call.base .. KEY.watch .. id
end

-- Until when the streams of an execution are watched; the empty text when they are not.
local function watched_until(call, id)
  local at = guarded('GET', watch_key(call, id))
  -- It only tells readers: one that is none stops no frame.
  return type(at) == 'string' and tonumber(at) and at or ''
end

local function watch_stream(call, id, until_ms)
  local digits = ff.digits(until_ms)
  ff.remember(watch_key(call, id), digits, digits)
  if (call.streams_until or 0) < until_ms then
    call.streams_until = until_ms
    ff.mark(call)
  end
end

function ff.decide.watch_stream(call, execution_id, ttl_ms)
  if command('EXISTS', call.base .. execution_id) == 0 then return ff.reject('execution_not_found') end
  local until_ms = call.now + ttl_ms
  local known = watched_until(call, execution_id)
  if known ~= '' and tonumber(known) >= until_ms then until_ms = tonumber(known) end
  return KIND.watching, watch_stream, execution_id, until_ms
end

-- Records that the streams of an execution have new frames, or that an attempt of it ended. Called only while streams
-- are watched.
function ff.note_stream(call, id)
  local noted = call.noted_streams or {}
  call.noted_streams = noted
  if noted[id] ~= nil then return end
  local at = watched_until(call, id)
  noted[id] = at ~= '' and not ff.has_passed(call, at)
end

-- Runs after everything is written.
function ff.announce_streams(call)
  local partition = call.partition
  for id, is_watched in pairs(call.noted_streams) do
    if is_watched then ff.publish(call, CHANNEL.frames .. partition .. ':' .. id, partition) end
  end
end
