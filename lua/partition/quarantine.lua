-- list_quarantined, retry_quarantined, drop_quarantined: see model/partition/quarantine.ts

local load = ff.loader('*')

local function quarantine_key(call)
  return call.base .. KEY.quarantine
end

-- Reads an entry: nothing when there is none. Answers its kind and its id.
local function entry_of(call, name)
  if not command('HGET', quarantine_key(call), name) then return nil end
  return string.match(name, '^([%a_]+):(.*)$')
end

-- list_quarantined: cursor, limit
-- Answers the next cursor, and names and values.
function ff.query.list_quarantined(call, cursor, limit)
  return ff.scan(call, quarantine_key(call), cursor, limit)
end

-- How the group of a member counts an upstream that ended, was dropped or was lost; nil for others.
function ff.bucket_of_missed(call, upstream)
  local bucket = ff.bucket_of(call, upstream)
  if bucket or command('EXISTS', call.base .. upstream) == 1 then return bucket end
  local may_return = command('HEXISTS', quarantine_key(call), TIMER.execution .. upstream) == 1
  return not may_return and BUCKET.failed or nil
end

-- What members of its flow missed while an execution was set aside: upstreams whose end it was not told, and tasks that
-- could not read it. Answers the flow, the edges and the tasks; nothing when it is in no flow.
local function missed_by(call, execution)
  if not ff.is_member(execution) then return nil end
  local id = ff.flow_of(execution)
  local flow = id and ff.load_flow(call, id) or ff.damaged('its flow cannot be read')
  ff.count_group(execution)
  local edges, missed, is_left = guarded('HGETALL', execution.key .. SUFFIX.dependencies), {}, false
  if edges.err then ff.no_hash(edges) end
  for i = 1, #edges, 2 do
    local edge = ff.read_edge(edges[i], edges[i + 1])
    if edge.edge_state == EDGE_STATE.unsatisfied then
      local bucket = ff.bucket_of_missed(call, edge.upstream)
      if bucket then
        missed[#missed + 1] = { edge = edges[i], downstream = execution.id, bucket = bucket }
      elseif edge.edge_round == execution.group_round then
        is_left = true
      end
    end
  end
  return flow, missed, ff.tasks_of_retry(flow, execution, is_left)
end

local function retry_execution(call, reply, name, execution, flow, missed, tasks)
  command('HDEL', quarantine_key(call), name)
  ff.reindex(call, execution)
  if not flow then return end
  ff.settle_retried_member(call, flow, execution.id, missed, tasks)
  reply[2] = PUBLIC_STATE[string.sub(command('HGET', execution.key, FIELD.life), 1, 1)]
end

local function retry_flow(call, name, flow)
  command('HDEL', quarantine_key(call), name)
  call.mended = true
  ff.settle_retried(call, flow)
end

-- If its kind has timers, it is tried again when due work is applied next: its step acts only if its time has come, and
-- corrects the timer otherwise.
local function retry_other(call, name, kind)
  command('HDEL', quarantine_key(call), name)
  if ff.due[kind] then ff.add_noted(ff.timers_of(call), call.now_text, call.now, name, call.now_text) end
  call.mended = true
end

-- A walk whose record is lost or unreadable begins anew.
local function retry_walk(call, name, walk)
  command('UNLINK', call.base .. WALK.key .. walk.id)
  ff.apply.walk_advanced(call, nil, walk)
  retry_other(call, name, 'walk')
end

-- Reads a record that is tried again. Answers it, or nil and the answer of the call.
local function readable(call, read, id)
  local ran, found = pcall(read, call, id)
  if ran and found then return found end
  if not ran then ff.contain(found) end
  return nil, { KIND.still_damaged, ran and 'the record is missing' or ff.words_of(found) }
end

function ff.decide.retry_quarantined(call, name)
  local kind, id = entry_of(call, name)
  if not kind then return { KIND.already_satisfied, 'not_quarantined' } end
  ff.timers_of(call)
  if kind == 'flow' then
    local flow, damage = readable(call, ff.load_flow, id)
    if not flow then return damage end
    return { KIND.retried, '' }, retry_flow, name, flow
  end
  if kind == 'walk' and not readable(call, ff.load_walk, id) then
    local walk, damage = readable(call, ff.walk_named, id)
    if not walk then return damage end
    return { KIND.retried, '' }, retry_walk, name, walk
  end
  if kind ~= 'execution' then return { KIND.retried, '' }, retry_other, name, kind end
  local execution, damage = readable(call, load, id)
  if not execution then return damage end
  ff.check_reindex(call, execution)
  local is_readable, flow, missed, tasks = pcall(missed_by, call, execution)
  if not is_readable then
    ff.contain(flow)
    return { KIND.still_damaged, ff.words_of(flow) }
  end
  local reply = { KIND.retried, PUBLIC_STATE[execution.situation] }
  return reply, retry_execution, reply, name, execution, flow, missed, tasks
end

-- Removes an execution from its indexes, as far as its record can be read. What counts and lists an unreadable one is found
-- by a verification, which the mark asks for: to look for it takes more than one call may.
local function forget(call, id, execution, flow)
  ff.leave_id(call, id)
  ff.remove(ff.timers_of(call), TIMER.execution .. id)
  if not execution then
    if flow then ff.forget_unreadable(call, id, flow) end
    ff.mark_broken(call)
    return
  end
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.tally(call, ff.lane_of(execution), execution.situation, nil)
  if ff.is_member(execution) then ff.forget_member(call, execution) end
  if SHELVED[execution.situation] then ff.unshelve(call, execution.situation, id) end
  ff.reorder_suspended(call, id, execution.situation, nil, '')
  ff.reshelve_tags(call, id, execution.tags, '')
  if ff.is_held(execution) then
    ff.tally(call, ff.lane_of(execution), LIMIT.held, nil)
    ff.unshelve(call, LIMIT.held, id)
  end
end

function ff.apply.execution_dropped(call, drop, requested_by, reason)
  local id, execution = drop.id, drop.execution
  local key = call.base .. id
  ff.remove_streams(call, { id = id }, drop.streams)
  -- If its lease and its meters can be read, its slots are returned at once.
  ff.note_ownership_end(call, execution or { id = id, key = key, extras = FIELD.needs })
  forget(call, id, execution, drop.flow_id)
  ff.remove_steps(key)
  command('UNLINK', key, key .. SUFFIX.details, key .. SUFFIX.input, key .. SUFFIX.waits,
    key .. SUFFIX.payloads, key .. SUFFIX.dependencies, key .. SUFFIX.only, key .. SUFFIX.leading)
  if execution then command('UNLINK', ff.result_key(execution)) end
  command('HDEL', quarantine_key(call), TIMER.execution .. id)
  ff.append(call, EVENT.execution_dropped, id, requested_by, reason)
end

-- Checks the keys that belong to an execution, which may be unreadable.
local function drop_of_execution(call, id)
  ff.check_ids(call, id)
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    execution = nil
  end
  if execution and ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return { id = id, execution = execution, streams = ff.streams_of_damaged(call, id) }
end

-- The last call that informs others of it removes it; earlier calls remove the entries that they have handled.
local function drop_execution(call, drop, edges, entries, is_last, requested_by, reason)
  if is_last then ff.apply.execution_dropped(call, drop, requested_by, reason)
  else command('ZREM', call.base .. drop.id .. SUFFIX.leading, unpack(entries)) end
  if drop.flow_id then ff.tell_of_drop(call, drop.flow_id, edges) end
end

local function decide_execution(call, id, requested_by, reason)
  local drop = drop_of_execution(call, id)
  local edges, entries, left = ff.edges_out_of(call, id)
  drop.flow_id = ff.flow_of_dropped(call, id, edges)
  -- Others cannot be informed while the flow is unreadable: then this fails, and everything stays until the flow is
  -- mended or dropped.
  if drop.flow_id and #edges > 0 then ff.load_flow(call, drop.flow_id) end
  local answer = left == 0 and KIND.dropped or { KIND.dropped_in_part, ff.digits(left) }
  return answer, drop_execution, drop, edges, entries, left == 0, requested_by, reason
end

-- Removes all that is stored of it; keys of another type are removed as well.
function ff.apply.record_dropped(call, kind, id, requested_by, reason)
  local stored, name = RECORD_OF[kind], kind .. ':' .. id
  if stored then
    local key = call.base .. stored.key .. id
    command('UNLINK', key)
    for i = 1, #stored.beside do command('UNLINK', key .. stored.beside[i]) end
    if stored.list and stored.leave == 'HDEL' then guarded('HDEL', call.base .. stored.list, id)
    elseif stored.list then guarded('ZREM', call.base .. stored.list, id) end
  elseif kind == 'admission' then
    guarded('HDEL', call.base .. KEY.admissions, id)
  end
  ff.remove(ff.timers_of(call), name)
  command('HDEL', quarantine_key(call), name)
  ff.append(call, EVENT.record_dropped, call.partition, kind .. '\t' .. id .. '\t' .. requested_by, reason)
end

local function drop_flow(call, id, members, walks, is_last, requested_by, reason)
  for i = 1, #members do ff.apply.execution_dropped(call, members[i], requested_by, reason) end
  for i = 1, #walks do ff.apply.record_dropped(call, 'walk', walks[i].id, requested_by, reason) end
  ff.forget_walks(call, id, members)
  if not is_last then return end
  ff.settle_tallies(call)
  call.flow = false
  command('UNLINK', call.base .. KEY.members .. id, call.base .. KEY.edges .. id,
    call.base .. KEY.counts .. LIMIT.counted_flow .. id)
  ff.apply.record_dropped(call, 'flow', id, requested_by, reason)
end

local function decide_flow(call, id, requested_by, reason)
  local ids = guarded('ZRANGE', call.base .. KEY.members .. id, 0, LIMIT.max_dropped_members)
  if ids.err then ids = {} end
  local members = {}
  for i = 1, math.min(#ids, LIMIT.max_dropped_members) do members[i] = drop_of_execution(call, ids[i]) end
  local is_last = #ids == #members
  local left = is_last and 0 or command('ZCARD', call.base .. KEY.members .. id) - #members
  return is_last and KIND.dropped or { KIND.dropped_in_part, ff.digits(left) },
    drop_flow, id, members, ff.walks_of(call, id, members), is_last, requested_by, reason
end

function ff.decide.drop_quarantined(call, name, reason, requested_by)
  local kind, id = entry_of(call, name)
  if not kind then return { KIND.already_satisfied, 'not_quarantined' } end
  ff.timers_of(call)
  if kind == 'execution' then return decide_execution(call, id, requested_by, reason) end
  if kind == 'flow' then return decide_flow(call, id, requested_by, reason) end
  return KIND.dropped, ff.apply.record_dropped, kind, id, requested_by, reason
end
