-- What the end of an upstream, or of the flow, means for one member; the twin of model/flow/consequences.ts. A function
-- answers the tasks that follow.

-- Checks all keys that an ending writes.
local function check_ending(call, execution)
  local purge_at, purge_text = ff.check_ending(call, execution)
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return purge_at, purge_text
end

function ff.cancel_member(call, flow, execution, reason)
  local purge_at, purge_text = check_ending(call, execution)
  ff.cancel_quietly(call, execution, LIMIT.walker, reason, purge_at, purge_text)
  return ff.ends_of(flow, execution)
end

local function unblock(call, execution)
  ff.check_queue_of(call, execution)
  ff.apply.dependencies_met(call, execution)
end

-- The consequence of a decided group for its member. Answers the task for its end, if it ends.
local function settle_member(call, flow, execution, outcome)
  local situation = execution.situation
  if outcome == GROUP_STATE.impossible and execution.is_parent == '' then
    if ff.is_terminal(situation) then return nil end
    local purge_at, purge_text = check_ending(call, execution)
    ff.apply.execution_skipped(call, execution, purge_at, purge_text)
    return ff.end_of(flow, execution)
  end
  if situation ~= SITUATION.blocked_dependencies then return nil end
  if ff.owes_cancel(flow, situation) then return ff.cancel_member(call, flow, execution, ff.cancel_reason_of(flow)) end
  unblock(call, execution)
  return nil
end

-- Decides the group of a member, if it can be decided. Answers at most three tasks.
local function decide(call, flow, execution)
  local outcome = ff.group_decision(execution, flow)
  if not outcome then return nil end
  ff.apply.edge_group_fired(call, execution, outcome)
  local siblings
  if execution.on_satisfied == ON_SATISFIED.cancel_remaining then
    siblings = ff.siblings_of(flow, execution.id)
  end
  return siblings, settle_member(call, flow, execution, outcome)
end

-- An incoming edge of an execution. If the completions of the call can be most of its upstreams, all edges are read
-- together once the second of them is resolved.
local function edge_to(call, execution, edge_id)
  local texts = execution.edge_texts
  if not texts and execution.resolved and call.completions and execution.leading <= 2 * call.completions then
    local found = guarded('HGETALL', execution.key .. SUFFIX.dependencies)
    if found.err then ff.no_hash(found) end
    texts = {}
    for i = 1, #found, 2 do texts[found[i]] = found[i + 1] end
    execution.edge_texts = texts
  end
  if not texts or not texts[edge_id] then return ff.edge_of(execution.key, edge_id) end
  return ff.read_edge(edge_id, texts[edge_id])
end

-- The suspension that the end of a child resumes: of a parent that also waits for children, once enough have ended, or
-- one did not complete. Nil when there is none. It is checked before anything is written.
local function awaiting(call, execution, edge, bucket)
  if execution.situation ~= SITUATION.suspended or edge.edge_round == '' then return nil end
  local suspension = ff.check_suspension(execution)
  local awaited = ff.count(suspension.awaited_children)
  if awaited == 0 or bucket == BUCKET.succeeded and execution.ended + 1 < awaited then return nil end
  ff.check_queue_of(call, execution)
  return suspension
end

-- Resumes a parent by the end of a child. Answers at most two tasks.
local function wake(call, flow, execution, suspension)
  local delay_ms = ff.count(suspension.resume_delay_ms)
  local delay_until = delay_ms > 0 and math.min(call.now + delay_ms, LIMIT.max_integer) or nil
  ff.resume_suspended(call, execution, suspension, 'children_ended', TRIGGER.children, '', delay_until)
  if ff.owes_cancel(flow, execution.situation) then return ff.cancel_member(call, flow, execution, ff.cancel_reason_of(flow)) end
  return nil
end

function ff.resolve_edge(call, flow, bucket, execution, edge_id, together)
  if not bucket then return nil end
  if execution.resolved and execution.resolved[edge_id] then return nil end
  local edge = edge_to(call, execution, edge_id)
  if not edge then
    -- The edge can have led to an execution that was dropped, and whose id is used again.
    if ff.is_in_flow(call, execution.id, flow.id) then ff.damaged('what leads to it is missing') end
    return nil
  end
  if edge.edge_state ~= EDGE_STATE.unsatisfied then return nil end
  local outcome = bucket == BUCKET.succeeded and EDGE_STATE.satisfied or EDGE_STATE.impossible
  local suspension = awaiting(call, execution, edge, bucket)
  ff.apply.dependency_resolved(call, execution, edge, outcome, bucket, together)
  if not suspension then return decide(call, flow, execution) end
  -- A suspended parent is not blocked: its group leaves at most the task for its siblings.
  local siblings = decide(call, flow, execution)
  return siblings, wake(call, flow, execution, suspension)
end

function ff.evaluate_member(call, flow, execution)
  if execution.situation ~= SITUATION.blocked_dependencies then return decide(call, flow, execution) end
  if execution.leading == 0 then
    if ff.owes_cancel(flow, execution.situation) then
      return ff.cancel_member(call, flow, execution, ff.cancel_reason_of(flow))
    end
    unblock(call, execution)
    return nil
  end
  if execution.group_state == GROUP_STATE.pending then return decide(call, flow, execution) end
  -- A failed call decided its group and did not let it continue.
  local siblings = execution.on_satisfied == ON_SATISFIED.cancel_remaining and ff.siblings_of(flow, execution.id) or nil
  return siblings, settle_member(call, flow, execution, execution.group_state)
end

-- Cancels an upstream of a group. If it has no other outgoing edge than the one to the group, as most have, that edge is
-- resolved in the same step. Answers at most four tasks.
function ff.cancel_sibling(call, task, execution, step)
  local plain = ff.is_plain_sibling(execution)
  local children, its_end = ff.cancel_member(call, task.flow, execution, task.reason)
  if plain then ff.note_plain_sibling(call, task, execution) end
  if not step.is_only then return children, its_end end
  -- It has its own try: if the group is unreadable, the group is set aside.
  return children, ff.try_step(call, its_end, { id = task.about, edge = step.edge, together = step.together })
end
