-- watch_log and watch_ends: see model/partition/watch.ts. Their marks follow the position in the header, so a call
-- reads and writes them with the position, and a partition without marks stores nothing.

-- Later entries of this call are announced too: the next entry is treated as the first of the call.
function ff.mark(call)
  call.appended = false
  call.marks, call.marked, call.text = true, true, false
end

local function watch_appends(call)
  call.watched = true
  ff.mark(call)
end

local function watch_ends(call, ends_until)
  call.ends_until = ends_until
  call.ends = call.ends or {}
  ff.mark(call)
end

function ff.decide.watch_log(call, after)
  if after ~= ff.cursor(call) then return KIND.behind end
  if call.watched then return KIND.watching end
  return KIND.watching, watch_appends
end

function ff.decide.watch_ends(call, ttl_ms)
  local ends_until = call.now + ttl_ms
  if call.ends_until and call.ends_until >= ends_until then return KIND.watching end
  return KIND.watching, watch_ends, ends_until
end
