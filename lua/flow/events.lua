-- The effects of flow events: records, indexes, log entries; the twins of model/flow/recipes.ts and
-- model/flow/entity.ts.

-- Writes the resolved edges of an execution.
local function settle(execution)
  local resolved = execution.resolved
  if not resolved then return end
  execution.resolved, execution.edge_texts = false, false
  ff.set_all(execution.key .. SUFFIX.dependencies, resolved)
  if not execution.is_group_stale then return end
  execution.is_group_stale = false
  command('HSET', execution.key, FIELD.group, ff.text_of_group(execution))
end

-- Writes the resolved edges of the members in hand (lua/flow/cascade.lua).
function ff.settle_members_in_hand(call)
  local hand = call.members_in_hand
  for i = 1, hand and #hand or 0 do settle(hand[i]) end
end

function ff.leave_members_in_hand(call)
  ff.settle_members_in_hand(call)
  call.members_in_hand = false
end

-- The same if an execution is among them, in another table than this one.
function ff.leave_other(call, id, execution)
  local in_hand = call.members_in_hand[id]
  if in_hand and in_hand ~= execution then ff.leave_members_in_hand(call) end
end

-- Its writes are gathered with those of other edges. `together`: so is its entry of the log.
function ff.apply.dependency_resolved(call, execution, edge, outcome, bucket, together)
  local is_counted = edge.edge_round == execution.group_round
  -- An older group of children is decided by the handler, so none of its edges is late. A success in an impossible group
  -- is not either: a replay can still decide the group with it.
  local is_late, state = '', execution.group_state
  local is_decided = state == GROUP_STATE.satisfied or state == GROUP_STATE.impossible and bucket ~= BUCKET.succeeded
  if is_counted and is_decided or not is_counted and edge.edge_round == '' then is_late = '1' end
  local end_order = ''
  if edge.edge_round ~= '' then
    execution.ended, execution.open = execution.ended + 1, execution.open - 1
    end_order = ff.digits(execution.ended)
    execution.is_group_stale = true
  end
  -- Edges and their texts, then a set of the edges.
  local resolved = execution.resolved or {}
  local size = #resolved
  resolved[size + 1], resolved[size + 2] = edge.id, ff.edge_dependency_text(edge.upstream, outcome, edge.edge_round,
    edge.staged_at, call.now_text, bucket, is_late, end_order, edge.data_passing_ref)
  resolved[edge.id] = true
  execution.resolved = resolved
  if is_counted then
    if bucket == BUCKET.succeeded then
      execution.succeeded = execution.succeeded + 1
    elseif bucket == BUCKET.skipped then
      execution.skipped = execution.skipped + 1
    else
      execution.failed = execution.failed + 1
    end
    execution.is_group_stale = true
  end
  if together then
    ff.resolve_together(call, execution.id, edge.id)
  else
    ff.append(call, EVENT.dependency_resolved, execution.id, edge.id .. '\t' .. outcome .. '\t' .. bucket, '')
  end
end

-- Gathers edges of one execution for one entry of the log: their upstreams were cancelled, which decides nothing.
function ff.resolve_together(call, id, edge_id)
  local edges = call.together
  if not edges then
    edges = { of = id }
    call.together = edges
  end
  edges[#edges + 1] = edge_id
end

-- Logs the edges that were gathered.
function ff.apply.dependencies_resolved(call)
  local edges = call.together
  if not edges then return end
  call.together = false
  ff.append(call, EVENT.dependencies_resolved, edges.of, table.concat(edges, ' '), '')
end

-- The execution runs again, and waits again for an impossible edge. Needs its group counted.
function ff.apply.dependency_reopened(call, execution, edge)
  command('HSET', execution.key .. SUFFIX.dependencies, edge.id, ff.edge_dependency_text(edge.upstream, EDGE_STATE.unsatisfied,
    edge.edge_round, edge.staged_at, '', '', '', edge.end_order, edge.data_passing_ref))
  if edge.edge_round ~= '' then execution.open = execution.open + 1 end
  if edge.edge_round == execution.group_round then
    if edge.bucket == BUCKET.skipped then
      execution.skipped = execution.skipped - 1
    else
      execution.failed = execution.failed - 1
    end
    execution.group_state = GROUP_STATE.pending
  end
  command('HSET', execution.key, FIELD.group, ff.text_of_group(execution))
  ff.append(call, EVENT.dependency_reopened, execution.id, edge.id, '')
end

function ff.apply.edge_group_fired(call, execution, outcome)
  execution.group_state = outcome
  if outcome == GROUP_STATE.satisfied then execution.satisfied_at = call.now_text end
  execution.is_group_stale = false
  command('HSET', execution.key, FIELD.group, ff.text_of_group(execution))
  ff.append(call, EVENT.edge_group_fired, execution.id, outcome, '')
end

-- Unblocks it; only its own delay still applies. Its queue was checked.
function ff.apply.dependencies_met(call, execution)
  local until_at = execution.wait
  if until_at ~= '' and not ff.has_passed(call, until_at) then
    local situation = execution.next_attempt == NEXT.retry and SITUATION.retry_backoff or SITUATION.delayed
    command('HSET', execution.key, FIELD.life, ff.enter_situation(call, execution, situation, until_at))
    ff.set_timer(call, execution)
  else
    local life = ff.enter_situation(call, execution, SITUATION.ready, '')
    if until_at ~= '' and execution.next_attempt ~= NEXT.retry then
      command('HSET', execution.key, FIELD.life, life, FIELD.wait, '')
      execution.wait = ''
    else
      command('HSET', execution.key, FIELD.life, life)
    end
    ff.enqueue(execution)
  end
  ff.append(call, EVENT.dependencies_met, execution.id)
end

function ff.apply.execution_skipped(call, execution, purge_at, purge_text)
  if execution.suspension then ff.close_suspension(call, execution.suspension, 'dependency_impossible', '', '') end
  if execution.kept then ff.close_pending(call, execution, 'dependency_impossible') end
  ff.finish(call, execution, SITUATION.skipped, purge_at, purge_text)
  ff.append_filtered(call, EVENT.execution_skipped, execution, 2, execution.naming, purge_text)
  ff.close_stream(call, execution, CLOSED.dependency_impossible)
end

-- Blocks an execution that was claimable or delayed on its dependencies; its own delay keeps running. The further
-- arguments are fields and values.
function ff.wait_for_others(call, execution, next_attempt, ...)
  execution.next_attempt = next_attempt
  command('HSET', execution.key, FIELD.life, ff.enter_situation(call, execution, SITUATION.blocked_dependencies, ''), ...)
  ff.set_timer(call, execution)
end

-- The same for an execution in any situation; does nothing where it does not apply.
function ff.block_for_others(call, execution)
  local situation = execution.situation
  if not ff.is_runnable(situation) or situation == SITUATION.blocked_dependencies then return false end
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  if ff.is_blocked(situation) then command('HDEL', execution.key, FIELD.blocking_detail) end
  ff.end_grant(execution)
  ff.wait_for_others(call, execution, execution.next_attempt)
  return true
end

-- Removes a member that is purged. Its incoming edges are removed from the records of its upstreams and of the flow
-- when those are purged.
function ff.forget_member(call, execution)
  local flow = ff.flow_of(execution)
  ff.tally_member(call, execution, execution.situation, nil)
  command('UNLINK', execution.key .. SUFFIX.dependencies, execution.key .. SUFFIX.only, execution.key .. SUFFIX.leading)
  if flow then command('ZREM', call.base .. KEY.members .. flow, execution.id) end
end

-- The effects of events on walks.

local function walk_text(walk, at)
  return ff.walk_walk_text(walk.kind, walk.flow, walk.of, at, walk.cursor)
end

local function facts_of(walk)
  return walk.kind .. '\t' .. walk.flow .. '\t' .. walk.of .. '\t' .. walk.cursor
end

local function count_owing(call, flow, change)
  flow.owing_groups = ff.count(flow.owing_groups) + change
  flow.owing_groups = flow.owing_groups == 0 and '' or ff.digits(flow.owing_groups)
  ff.write_flow(call, flow)
end

function ff.apply.walk_begun(call, flow, walk)
  command('HSET', call.base .. WALK.key .. walk.id, WALK.walk, walk_text(walk, call.now_text))
  ff.add_noted(ff.timers_of(call), call.now_text, call.now, TIMER.walk .. walk.id, call.now_text)
  if walk.kind == WALK_KIND.siblings then count_owing(call, flow, 1) end
  ff.append(call, EVENT.walk_begun, walk.id, facts_of(walk), '')
end

function ff.apply.walk_advanced(call, _, walk)
  command('HSET', call.base .. WALK.key .. walk.id, WALK.walk, walk_text(walk, call.now_text))
  ff.add_noted(ff.timers_of(call), call.now_text, call.now, TIMER.walk .. walk.id, call.now_text)
  ff.append(call, EVENT.walk_advanced, walk.id, facts_of(walk), '')
end

function ff.apply.walk_ended(call, flow, walk)
  command('UNLINK', call.base .. WALK.key .. walk.id)
  ff.remove(ff.timers_of(call), TIMER.walk .. walk.id)
  if walk.kind == WALK_KIND.siblings then count_owing(call, flow, -1) end
  ff.append(call, EVENT.walk_ended, walk.id, facts_of(walk), '')
end

-- The effects of events on flows.

function ff.apply.flow_finished(call, flow, purge_at)
  flow.purge_at, flow.is_kept = purge_at, purge_at == '' and '1' or ''
  ff.set_flow_timer(call, flow, purge_at)
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_finished, flow.id, purge_at, '')
end

-- The caller writes the flow.
function ff.apply.flow_reopened(call, flow)
  flow.purge_at, flow.is_kept = '', ''
  ff.set_flow_timer(call, flow, '')
  ff.append(call, EVENT.flow_reopened, flow.id)
end

function ff.apply.flow_purge_begun(call, flow)
  flow.is_purging = '1'
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_purge_begun, flow.id)
end

function ff.apply.flow_purged(call, flow)
  local base, id = call.base, flow.id
  ff.settle_tallies(call)
  call.flow = false
  command('UNLINK', flow.key, flow.key .. SUFFIX.details, base .. KEY.members .. id, base .. KEY.edges .. id,
    base .. KEY.counts .. LIMIT.counted_flow .. id)
  command('ZREM', base .. KEY.flows, id)
  ff.remove(ff.timers_of(call), TIMER.flow .. id)
  ff.append(call, EVENT.flow_purged, id)
end
