-- The upstreams that a decided group, or a parent that ended badly, no longer needs. Most are racers that wait in one
-- queue and of which nothing else is recorded. The first of them is ended like any execution (lua/flow/consequences.lua),
-- which checks every key that the next ones write. Each of these is compared with it; one that differs, or cannot be
-- read, is ended like any execution too.

-- An extra that the racers of one kind do not have in common.
local NOT_PLAIN = '[^' .. FIELD.membership .. FIELD.rules .. FIELD.needs .. ']'

-- Ids of the edges to an execution, in order, and the position of the first one after a cursor. Passes over one group
-- follow each other, so the ids stay in hand until an edge is added (lua/flow/graph.lua). Removed ones are not noticed.
local function incoming_after(call, id, cursor)
  local incoming = call.incoming
  if incoming and incoming.of == id then
    for at = incoming.at, #incoming do
      if incoming[at] == cursor then
        incoming.at = at
        return incoming, at + 1
      end
    end
  end
  incoming = guarded('HKEYS', call.base .. id .. SUFFIX.dependencies)
  if incoming.err then ff.no_hash(incoming) end
  ff.sort(incoming)
  incoming.of, incoming.at = id, 1
  call.incoming = incoming
  if cursor == '' then return incoming, 1 end
  for at = 1, #incoming do
    if ff.is_before(cursor, incoming[at]) then return incoming, at end
  end
  return incoming, #incoming + 1
end

local function only_edges_of(base, upstreams)
  if not upstreams[1] then return upstreams end
  local keys = {}
  for i = 1, #upstreams do keys[i] = base .. upstreams[i] .. SUFFIX.only end
  return guarded('MGET', unpack(keys))
end

-- The round of an edge in its text, empty for an edge from outside; nil when the text is unreadable.
function ff.round_of_edge(text)
  return string.match(text, '^\t[^\t]*\t(%d*)\t', LIMIT.id_length + 1)
end

-- Whether a walk over the upstreams of an execution ends one, by the round of its edge; the twin of `isSibling`.
function ff.is_sibling(group, edge_round)
  if ff.has_orphaned(group) then return edge_round ~= '' end
  return edge_round == group.group_round
end

-- The next upstreams that such a walk ends. Only the edges of these are read, because a group can have thousands. Each
-- list has an entry for each upstream: ids and texts of the edges, ids of the upstreams, and their outgoing edges if
-- they have exactly one.
function ff.siblings_ahead(call, task, limit)
  -- The edges and the group are read from their keys, so they are written first.
  ff.settle_members_in_hand(call)
  local group = ff.group_of(call, task.about)
  if not group.is_readable then ff.check_left(call, task.flow.id, task.about) end
  task.reason = ff.sibling_reason(group)
  local key, edges, texts, upstreams, size = call.base .. task.about .. SUFFIX.dependencies, {}, {}, {}, 0
  local ids, first = incoming_after(call, task.about, task.cursor)
  for from = first, #ids, limit do
    local last = math.min(from + limit - 1, #ids)
    local found = command('HMGET', key, unpack(ids, from, last))
    for i = from, last do
      local text = found[i - from + 1]
      local upstream, edge_round = false, nil
      if text then
        edge_round = ff.round_of_edge(text)
        upstream = edge_round and string.sub(text, 1, LIMIT.id_length)
        -- The other siblings go on; the retry of the group's execution looks at this one again.
        if not edge_round then
          ff.set_aside(call, TIMER.execution .. task.about, { err = 'DAMAGED dependency is unreadable' })
        end
      end
      if upstream and ff.is_sibling(group, edge_round) then
        size = size + 1
        edges[size], texts[size], upstreams[size] = ids[i], text, upstream
        if size == limit then break end
      end
    end
    if size == limit then break end
  end
  -- A suspended group may also wait for children: the end of each is then looked at.
  local is_decided = group.group_state ~= GROUP_STATE.pending and group.situation ~= SITUATION.suspended
  return { task = task, steps = edges, at = 1, is_cut = size == limit, texts = texts, upstreams = upstreams,
    outgoing = only_edges_of(call.base, upstreams), is_decided = is_decided }
end

-- The step of an upstream that is ended like any execution.
function ff.sibling_step(ahead)
  local at = ahead.at
  local edge = ahead.steps[at]
  local is_only = ahead.outgoing[at] == edge .. ahead.task.about
  return { cursor = edge, edge = edge, id = ahead.upstreams[at], is_only = is_only, together = is_only and ahead.is_decided }
end

-- Whether an execution waits for its first claim, and only its flow, its rules and its needs are recorded of it.
function ff.is_plain_sibling(execution)
  return not string.find(execution.extras, NOT_PLAIN) and execution.situation == SITUATION.ready
    and execution.next_attempt == '' and execution.started_at == '' and execution.total_attempt_count == ''
end

local UNRESOLVED = '^\t' .. EDGE_STATE.unsatisfied .. '\t((%d*)\t%d+)\t\t\t\t%d*\t([^\t]*)$'
local IMPOSSIBLE = '\t' .. EDGE_STATE.impossible .. '\t'
local LIFE_OF_PLAIN = '^' .. SITUATION.ready .. '\t\t\t%d+\t\t\t'

-- The next siblings of a task are compared with a plain one that was just ended.
function ff.note_plain_sibling(call, task, execution)
  local purge_text, extras = execution.due_at, execution.extras
  task.alike = {
    naming = execution.naming, lane_id = ff.lane_of(execution), queue = execution.queue,
    -- Fields that are not there are false in an answer.
    rules = execution.rules ~= '' and execution.rules, needs = execution.needs ~= '' and execution.needs,
    old_life = LIFE_OF_PLAIN .. extras .. '$',
    life = ff.life_text(SITUATION.cancelled, '', purge_text, call.now_text, '', '', extras),
    ending = ff.ending_text(LIMIT.walker, '', ''), facts = LIMIT.walker .. '\t' .. purge_text,
  }
end

-- Ends siblings until one differs; a unit for each. `for_ending`: the units that must be left. Those whose record was
-- written are added to `ended`.
local function end_each(call, ahead, left, for_ending, group, ended)
  local edges, texts, upstreams, outgoing, at = ahead.steps, ahead.texts, ahead.upstreams, ahead.outgoing, ahead.at
  local task, base, round, now = ahead.task, call.base, group.group_round, call.now_text
  local about, reason, alike, last_life = task.about, task.reason, task.alike, nil
  local naming, rules, needs, has_more = alike.naming, alike.rules, alike.needs, alike.rules or alike.needs
  local resolved, how = group.resolved or {}, '\t' .. now .. '\t' .. BUCKET.failed .. '\t'
  while left >= for_ending do
    local edge, id = edges[at], upstreams[at]
    if not edge or outgoing[at] ~= edge .. about then break end
    local staged, edge_round, ref = string.match(texts[at], UNRESOLVED, LIMIT.id_length + 1)
    local key = base .. id
    local values = has_more and attempted('HMGET', key, FIELD.life, FIELD.naming, FIELD.rules, FIELD.needs)
      or attempted('HMGET', key, FIELD.life, FIELD.naming)
    local life = values[1]
    if not staged or values[2] ~= naming or has_more and (values[3] ~= rules or values[4] ~= needs) then break end
    if life ~= last_life then
      if not life or not string.find(life, alike.old_life) then break end
      last_life = life
    end
    -- The record first: if its write is refused, the execution is still in its queue.
    command('HSET', key, FIELD.life, alike.life, FIELD.ending, alike.ending, FIELD.cancellation_reason, reason)
    ended[#ended + 1] = id
    ff.append(call, EVENT.execution_cancelled, id, naming, alike.facts, reason, '')
    -- The group is decided, so its counts are all that changes.
    local size, end_order, is_counted = #resolved, '', edge_round == round
    if edge_round ~= '' then
      group.ended, group.open, group.is_group_stale = group.ended + 1, group.open - 1, true
      end_order = ff.digits(group.ended)
    end
    local late = is_counted and '1\t' or '\t'
    resolved[size + 1], resolved[size + 2] = edge, id .. IMPOSSIBLE .. staged .. how .. late .. end_order .. '\t' .. ref
    group.resolved = resolved
    if is_counted then group.failed, group.is_group_stale = group.failed + 1, true end
    ff.resolve_together(call, about, edge)
    task.cursor = edge
    at, left = at + 1, left - 1
    ahead.at = at
  end
  return left
end

-- Ends siblings in the short way. Answers the number of units left.
function ff.end_alike(call, ahead, left, for_ending)
  local task, group = ahead.task, call.members_in_hand and call.members_in_hand[ahead.task.about]
  local alike = task.alike
  if not alike or not ahead.is_decided or not group then return left end
  local ended = {}
  local ran, answer = pcall(end_each, call, ahead, left, for_ending, group, ended)
  if ended[1] then
    ff.tally(call, alike.lane_id, SITUATION.ready, SITUATION.cancelled, #ended)
    ff.tally(call, LIMIT.counted_flow .. task.flow.id, SITUATION.ready, SITUATION.cancelled, #ended)
    ff.remove_many(alike.queue, ended)
    ff.settle_members_in_hand(call)
    for i = 1, call.ends and #ended or 0 do ff.note_end(call, ended[i]) end
    for i = 1, call.streams_until and #ended or 0 do ff.note_stream(call, ended[i]) end
    for i = 1, #ended do ff.shelve(call, SITUATION.cancelled, ended[i]) end
  end
  if not ran then
    ff.apply.dependencies_resolved(call)
    error(answer)
  end
  return answer
end
