-- append_frame: see model/stream/append.ts

local load = ff.loader('bounds', 'fence', 'timing', 'rules', 'streams')
local load_stream = ff.record('stream', 'closing', 'counters')
-- For some appends only.
local load_summary, load_rate = ff.record('stream', 'summary'), ff.record('stream', 'rate')

-- Refuses a writer that does not own the attempt at present.
local function writer_verdict(call, execution, fence, attempt_index)
  if ff.is_terminal(execution.situation) then
    return ff.reject('stream_closed', 'terminalOutcome', TERMINAL_OUTCOME[execution.situation])
  end
  local is_owner = execution.situation == SITUATION.running and not ff.has_passed(call, execution.due_at)
    and tonumber(attempt_index) == ff.count(execution.total_attempt_count) - 1 and ff.holds_lease(execution, fence)
  if not is_owner then return ff.reject('stale_owner_cannot_append') end
  return ff.time_verdict(call, execution)
end

-- The stream of the attempt, or the initial state of a stream.
local function stream_of(call, execution, attempt_index)
  local id = execution.id .. ':' .. attempt_index
  if ff.last_stream_of(execution) == attempt_index then
    local stream = load_stream(call, id) or ff.damaged('the stream is missing')
    ff.read_counters(stream)
    return stream
  end
  return {
    id = id, key = call.base .. STREAM.key .. id, is_new = true, summary = '', rate = '',
    frames = 0, bytes = 0, last_ms = -1, last_seq = -1, writer_seq = '',
  }
end

-- The appends of a group share the owner and the stream: each finds the stream as the previous one left it.
function ff.prepare.append_frame(_, execution_id, fence, attempt_index)
  return { execution_id = execution_id, fence = fence, attempt_index = attempt_index, stream = false }
end

-- The stream of the group for its first append, or the refusal.
local function owned_stream(call, group)
  local attempt_index = group.attempt_index
  local execution = load(call, group.execution_id)
  if not execution then return nil, ff.reject('execution_not_found') end
  local refusal = writer_verdict(call, execution, group.fence, attempt_index)
  if refusal then return nil, refusal end
  local rules = ff.rules(execution.rules)
  local stream = stream_of(call, execution, attempt_index)
  stream.index, stream.execution = attempt_index, execution
  stream.max_bytes, stream.keep = rules.stream_max_bytes or LIMIT.stream_max_bytes, rules.stream_maxlen or LIMIT.stream_maxlen
  return stream
end

-- The number of patches so far.
local function version_of(call, stream)
  if not stream.summary then
    local found = load_summary(call, stream.id) or ff.damaged('the stream is missing')
    stream.summary = found.summary
  end
  if stream.summary == '' then return 0 end
  ff.read_stream_summary(stream)
  return ff.count(stream.summary_version)
end

-- Compares the writer's own number: the frame exists already, or is too late.
local function seq_verdict(call, stream, seq, patch)
  if seq == '' or stream.writer_seq == '' then return nil end
  local number, last = tonumber(seq), tonumber(stream.writer_seq)
  if number > last then return nil end
  if number < last then return ff.reject('frame_seq_out_of_order', 'lastSeq', stream.writer_seq) end
  return { KIND.appended, ff.digits(stream.last_ms) .. '-' .. ff.digits(stream.last_seq), stream.frames,
    patch ~= '' and ff.digits(version_of(call, stream)) or '' }
end

-- The summary after a patch, or nothing when it would be too large.
local function patched(call, stream, patch)
  local document = stream.document or '{}'
  local version = version_of(call, stream)
  if version > 0 and not stream.document then
    document = guarded('GET', stream.key .. STREAM_SUFFIX.document)
    if type(document) ~= 'string' then ff.damaged('the summary is missing') end
  end
  local text, widest = ff.merge_patch(document, patch)
  if #text > LIMIT.max_summary_bytes or widest > LIMIT.max_members then return nil end
  return { version = version + 1, document = text, digest = server.sha1hex(text) }
end

-- The rate of best-effort frames after a further one; the twin of `rateAfter`, operation by operation.
local function rate_after(call, stream, best_effort)
  local ttl_ms, floor, ceiling, alpha = string.match(best_effort, '^(%d+)\t(%d+)\t(%d+)\t(.+)$')
  ttl_ms, floor, ceiling, alpha = tonumber(ttl_ms), tonumber(floor), tonumber(ceiling), tonumber(alpha)
  local seconds = math.max(ttl_ms, 1) / 1000
  if not stream.rate then
    local found = load_rate(call, stream.id) or ff.damaged('the stream is missing')
    stream.rate = found.rate
  end
  local hz, maxlen
  local known_hz, last_at = string.match(stream.rate, '^([^\t]+)\t(%d+)\t')
  if not known_hz then
    hz, maxlen = floor / (seconds * 2), floor
  else
    local instant = 1000 / math.max(call.now - last_at, 1)
    hz = alpha * instant + (1 - alpha) * known_hz
    maxlen = math.min(math.max(math.ceil(hz * seconds * 2), floor), ceiling)
  end
  return { hz = hz, maxlen = maxlen, ttl_ms = ttl_ms, expires_at = ttl_ms > 0 and call.now + 2 * ttl_ms or nil }
end

function ff.decide.append_frame(call, group, best_effort, seq, labels, patch, payload)
  local bytes = patch ~= '' and patch or payload
  if #bytes > LIMIT.max_frame_bytes then return ff.reject('retention_limit_exceeded') end
  if not group.stream then
    local owned, refusal = owned_stream(call, group)
    if refusal then return refusal end
    group.stream = owned
  end
  local stream = group.stream
  local repeated = seq_verdict(call, stream, seq, patch)
  if repeated then return repeated end
  if stream.bytes + #bytes > stream.max_bytes then return ff.reject('retention_limit_exceeded') end
  local frame = { payload = bytes, seq = seq, labels = labels, suffix = STREAM_SUFFIX.durable, keep = stream.keep }
  if patch ~= '' then
    frame.summary = patched(call, stream, patch)
    if not frame.summary then return ff.reject('retention_limit_exceeded') end
    frame.suffix, frame.keep = STREAM_SUFFIX.summary, LIMIT.summary_frames
  elseif best_effort ~= '' then
    frame.rate = rate_after(call, stream, best_effort)
    frame.suffix, frame.keep = STREAM_SUFFIX.best_effort, frame.rate.maxlen
  end
  -- Ids increase even if the clock does not.
  frame.ms = math.max(call.now, stream.last_ms)
  frame.number = frame.ms == stream.last_ms and stream.last_seq + 1 or 0
  frame.id = ff.digits(frame.ms) .. '-' .. ff.digits(frame.number)
  return { KIND.appended, frame.id, stream.frames + 1, frame.summary and ff.digits(frame.summary.version) or '' },
    ff.apply.frame_appended, stream, frame
end
