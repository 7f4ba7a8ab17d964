-- Reads of streams; model/stream/reads.ts interprets their answers.

-- Frames that are read at once.
local AT_ONCE = 64

-- The first frames in a range, until they are `count` or have more bytes than a page.
local function frames(key, from, to, count)
  local found, size, bytes, wanted = {}, 0, 0, tonumber(count)
  while size < wanted do
    local at_once = math.min(AT_ONCE, wanted - size)
    local page = command('XRANGE', key, from, to, 'COUNT', at_once)
    for i = 1, #page do
      size = size + 1
      found[size] = page[i]
      bytes = bytes + #(page[i][2][4] or '')
      if bytes > LIMIT.max_frame_bytes_per_read then return found end
    end
    if #page < at_once then return found end
    from = '(' .. page[at_once][1]
  end
  return found
end

-- read_stream: execution_id, attempt_index, from, to, count, `1` with best-effort frames. Answers the situation of the
-- execution, the record of the stream, frames by mode, and how many are stored.
function ff.query.read_stream(call, execution_id, attempt_index, from, to, count, with_best_effort)
  local key = call.base .. STREAM.key .. execution_id .. ':' .. attempt_index
  local rate = command('HGET', key, STREAM.rate)
  local expires_at = rate and string.match(rate, '\t(%d+)$')
  -- Best-effort frames are not shown after their time is over, whether they were collected or not.
  local is_over = expires_at and ff.has_passed(call, expires_at)
  local durable, summary, best_effort = key .. STREAM_SUFFIX.durable, key .. STREAM_SUFFIX.summary, key .. STREAM_SUFFIX.best_effort
  return {
    command('HMGET', call.base .. execution_id, FIELD.life, FIELD.given), command('HGETALL', key),
    frames(durable, from, to, count), frames(summary, from, to, count),
    with_best_effort == '1' and not is_over and frames(best_effort, from, to, count) or {},
    command('XLEN', durable) + command('XLEN', summary) + (is_over and 0 or command('XLEN', best_effort)),
  }
end

-- read_summary: execution_id, attempt_index. Answers the record of the stream, and the document.
function ff.query.read_summary(call, execution_id, attempt_index)
  local key = call.base .. STREAM.key .. execution_id .. ':' .. attempt_index
  return { command('HGETALL', key), command('GET', key .. STREAM_SUFFIX.document) }
end
