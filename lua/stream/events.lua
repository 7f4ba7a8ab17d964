-- Events of streams: their records, their frames, their log entries. The twins of model/stream/entity.ts and
-- contents.ts. A foreign key in the place of a stream's key is removed.

-- Whether a write met a key of another type; it is removed then.
local function removed_foreign_key(written, key)
  if type(written) ~= 'table' or not written.err then return false end
  command('DEL', key)
  return true
end

-- The index of the newest attempt that has a stream; the empty text when none has. Needs streams loaded.
function ff.last_stream_of(execution)
  if execution.streams == '' then return '' end
  ff.read_streams(execution)
  return execution.last_stream_index
end

-- Reads the counters of a stream, which are no facts.
function ff.read_counters(stream)
  local frames, bytes, last_ms, last_seq, writer_seq =
    string.match(stream.counters, '^(%d+)\t(%d+)\t(%d+)\t(%d+)\t(%d*)\t%d+$')
  if not frames then ff.damaged('the counters of a stream are unreadable') end
  stream.frames, stream.bytes, stream.last_ms, stream.last_seq = tonumber(frames), tonumber(bytes), tonumber(last_ms), tonumber(last_seq)
  stream.writer_seq = writer_seq
end

function ff.apply.stream_opened(call, execution, stream, attempt_index)
  local attempt = string.match(execution.fence, '\t([^\t]*)$')
  ff.note_extra(execution, FIELD.streams)
  local index = attempt_index == '0' and '' or attempt_index
  command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.streams, ff.streams_text(attempt_index))
  local given = ff.stream_given_text(attempt, call.now_text)
  if removed_foreign_key(guarded('HSET', stream.key, STREAM.given, given), stream.key) then
    command('HSET', stream.key, STREAM.given, given)
  end
  ff.append(call, EVENT.stream_opened, execution.id, index .. '\t' .. attempt, '')
end

function ff.apply.summary_patched(call, execution, stream, summary, attempt_index)
  local first_at = stream.summary ~= '' and stream.first_applied_at or call.now_text
  local version, bytes = ff.digits(summary.version), ff.digits(#summary.document)
  stream.document = summary.document
  stream.summary = ff.stream_summary_text(version, bytes, summary.digest, first_at, call.now_text)
  stream.has_summary = true
  ff.append(call, EVENT.summary_patched, execution.id,
    (attempt_index == '0' and '' or attempt_index) .. '\t' .. version .. '\t' .. bytes .. '\t' .. summary.digest, '')
end

-- The stored labels of a frame: those of its writer, its version, its time to live.
local function labels_of(call, frame)
  local frame_type, ts, rest = string.match(frame.labels, '^([^\t]*)\t([^\t]*)\t(.*)$')
  return frame_type .. '\t' .. (ts == '' and call.now_text or ts) .. '\t' .. rest .. '\t'
    .. (frame.summary and ff.digits(frame.summary.version) or '') .. '\t' .. (frame.rate and ff.digits(frame.rate.ttl_ms) or '')
end

-- Best-effort frames: earlier ones are removed when their time is over.
local function keep_for_moments(call, stream, frame)
  local key = stream.key .. frame.suffix
  local expires_at = string.match(stream.rate, '\t(%d+)$')
  if expires_at and ff.has_passed(call, expires_at) then command('UNLINK', key) end
  local rate = frame.rate
  stream.rate = string.format('%.17g', rate.hz) .. '\t' .. call.now_text .. '\t' .. ff.digits(rate.maxlen) .. '\t'
    .. ff.text_of(rate.expires_at)
  stream.has_rate = true
end

-- Writes the state of the stream after the appends of a group: counters, rate and summary, once.
function ff.settle_stream(call)
  local stream = call.stream
  call.stream = false
  local counters = ff.digits(stream.frames) .. '\t' .. ff.digits(stream.bytes) .. '\t' .. ff.digits(stream.last_ms) .. '\t'
    .. ff.digits(stream.last_seq) .. '\t' .. stream.writer_seq .. '\t' .. call.now_text
  if not (stream.has_summary or stream.has_rate) then
    command('HSET', stream.key, STREAM.counters, counters)
    return
  end
  local values = { STREAM.counters, counters }
  if stream.has_rate then values[3], values[4] = STREAM.rate, stream.rate end
  if stream.has_summary then
    values[#values + 1], values[#values + 2] = STREAM.summary, stream.summary
    command('SET', stream.key .. STREAM_SUFFIX.document, stream.document)
  end
  command('HSET', stream.key, unpack(values))
end

function ff.apply.frame_appended(call, stream, frame)
  local execution, attempt_index = stream.execution, stream.index
  if stream.is_new then
    ff.apply.stream_opened(call, execution, stream, attempt_index)
    stream.is_new = false
  end
  if frame.summary then ff.apply.summary_patched(call, execution, stream, frame.summary, attempt_index) end
  if frame.rate then keep_for_moments(call, stream, frame) end
  local key = stream.key .. frame.suffix
  local labels = labels_of(call, frame)
  local added = guarded('XADD', key, 'MAXLEN', '=', frame.keep, frame.id, 'm', labels, 'p', frame.payload)
  if removed_foreign_key(added, key) then
    command('XADD', key, 'MAXLEN', '=', frame.keep, frame.id, 'm', labels, 'p', frame.payload)
  end
  if frame.rate then ff.collect_at(key, frame.rate.expires_at) end
  if frame.seq ~= '' then stream.writer_seq = frame.seq end
  stream.frames, stream.bytes = stream.frames + 1, stream.bytes + #frame.payload
  stream.last_ms, stream.last_seq = frame.ms, frame.number
  call.stream = stream
  if call.streams_until then ff.note_stream(call, execution.id) end
end

local load_closing = ff.record('stream', 'closing', 'counters')

-- Checks the stream that the end of an attempt will close. Needs streams loaded.
function ff.check_stream(call, execution)
  local index = ff.last_stream_of(execution)
  if index == '' then return end
  local stream = load_closing(call, execution.id .. ':' .. index) or ff.damaged('the stream is missing')
  if stream.closing ~= '' then return end
  ff.read_counters(stream)
  execution.stream, stream.index = stream, index
end

function ff.apply.stream_closed(call, execution, stream, reason)
  local last_id = ff.digits(stream.last_ms) .. '-' .. ff.digits(stream.last_seq)
  local frames, bytes = ff.digits(stream.frames), ff.digits(stream.bytes)
  command('HSET', stream.key, STREAM.closing, ff.stream_closing_text(call.now_text, CLOSED_WORD[reason], frames, bytes, last_id))
  local index = stream.index == '0' and '' or stream.index
  ff.append(call, EVENT.stream_closed, execution.id,
    index .. '\t' .. reason .. '\t' .. frames .. '\t' .. (bytes == '0' and '' or bytes) .. '\t' .. last_id, '')
end

-- Closes the open stream of an attempt that ended, if any. Needs `ff.check_stream`.
function ff.close_stream(call, execution, reason)
  if call.streams_until then ff.note_stream(call, execution.id) end
  local stream = execution.stream
  if not stream then return end
  execution.stream = nil
  ff.apply.stream_closed(call, execution, stream, execution.closes_with or reason)
end

-- The streams of an execution, up to that of an attempt.
local function streams_up_to(call, id, last)
  local streams = {}
  for index = 0, last do
    local key = call.base .. STREAM.key .. id .. ':' .. ff.digits(index)
    if command('EXISTS', key) == 1 then streams[#streams + 1] = { key = key, index = index } end
  end
  return streams
end

-- Checks which streams a purge removes. Needs streams loaded.
function ff.check_streams(call, execution)
  local last = ff.last_stream_of(execution)
  if last ~= '' then execution.all_streams = streams_up_to(call, execution.id, tonumber(last)) end
end

-- The streams of an execution whose record may be unreadable, so that its number of attempts is unknown.
function ff.streams_of_damaged(call, id)
  return streams_up_to(call, id, LIMIT.max_probed_streams - 1)
end

function ff.apply.stream_removed(call, execution, key, index)
  command('UNLINK', key, key .. SUFFIX.details, key .. STREAM_SUFFIX.durable, key .. STREAM_SUFFIX.summary,
    key .. STREAM_SUFFIX.best_effort, key .. STREAM_SUFFIX.document)
  ff.append(call, EVENT.stream_removed, execution.id, index == 0 and '' or ff.digits(index), '')
end

-- Removes every stream of an execution. Needs `ff.check_streams`.
function ff.remove_streams(call, execution, streams)
  for i = 1, streams and #streams or 0 do ff.apply.stream_removed(call, execution, streams[i].key, streams[i].index) end
end
