-- The consequences of an end in its flow; the twin of model/flow/cascade.ts and model/flow/settle.ts. Tasks are a
-- stack, of which a call does a bounded part; the rest becomes walks. Each step reads one execution, and writes its
-- decision before the next step reads: so an unreadable record is set aside alone.

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'rules', 'wait', 'streams', 'grant', 'group')

-- Set while a command that read several executions changes them: the consequences are left to later calls.
local later = false

function ff.settle_later(is_later)
  later = is_later
end

local function is_of_flow(kind)
  return kind == WALK_KIND.cancel or kind == WALK_KIND.evaluate
end

local function walk_of(task)
  local of_flow = is_of_flow(task.kind)
  return {
    id = task.kind .. (of_flow and task.flow.id or task.about), kind = task.kind, flow = task.flow.id,
    of = of_flow and '' or task.about, cursor = task.cursor,
  }
end

-- How groups count an execution in a situation; nil when it has not ended.
local function bucket_in(situation)
  if PHASE[situation] ~= 'terminal' then return nil end
  if situation == SITUATION.completed then return BUCKET.succeeded end
  return situation == SITUATION.skipped and BUCKET.skipped or BUCKET.failed
end

-- The task for an execution that has just ended.
local function end_of(flow, execution)
  return {
    kind = WALK_KIND.resolve, flow = flow, about = execution.id, cursor = '', bucket = bucket_in(execution.situation),
  }
end

local function siblings_of(flow, id)
  return { kind = WALK_KIND.siblings, flow = flow, about = id, cursor = '' }
end

-- The tasks after the end of a member, at most two; the twin of `endsOf`. Needs its group read.
local function ends_of(flow, execution)
  return ff.has_orphaned(execution) and siblings_of(flow, execution.id) or nil, end_of(flow, execution)
end

-- How groups count the end of an execution; nil when it has not ended.
function ff.bucket_of(call, id)
  return bucket_in(ff.stored_situation(call, id))
end

-- How groups count what a task concerns; false when it has not ended.
local function bucket_of_subject(call, task)
  local situation = ff.stored_situation(call, task.about)
  if not situation then ff.check_left(call, task.flow.id, task.about) end
  return bucket_in(situation) or false
end

-- The steps of a task: for each outgoing edge the cursor after it, the downstream, and the edge.
local function leading_steps(call, task, limit)
  if task.bucket == nil then task.bucket = bucket_of_subject(call, task) end
  local found = ff.leading_of(call, task.about, task.cursor, limit, task.are_several)
  local steps = {}
  for i = 1, #found do
    local edge_id = string.sub(found[i], 1, LIMIT.id_length)
    steps[i] = { cursor = edge_id, edge = edge_id, id = string.sub(found[i], LIMIT.id_length + 1) }
  end
  return steps
end

local function member_steps(call, task, limit)
  local members = call.base .. KEY.members .. task.flow.id
  local found
  if task.kind == WALK_KIND.cancel then
    found = command('ZREVRANGEBYSCORE', members, task.cursor == '' and '+inf' or '(' .. task.cursor, '-inf', 'WITHSCORES',
      'LIMIT', 0, limit)
  else
    found = command('ZRANGEBYSCORE', members, task.cursor == '' and '-inf' or '(' .. task.cursor, '+inf', 'WITHSCORES',
      'LIMIT', 0, limit)
  end
  local steps = {}
  for i = 1, #found, 2 do steps[#steps + 1] = { cursor = found[i + 1], id = found[i] } end
  return steps
end

-- Reads one step more than can be done, to know whether any is left.
local function steps_ahead(call, task, units)
  local ahead
  if task.kind == WALK_KIND.siblings then
    ahead = ff.siblings_ahead(call, task, units + 1)
  else
    local is_resolve = task.kind == WALK_KIND.resolve
    local steps = is_resolve and leading_steps(call, task, units + 1) or member_steps(call, task, units + 1)
    ahead = { task = task, steps = steps, at = 1, is_cut = #steps > units }
  end
  -- Index writes of several steps are gathered.
  if ahead.steps[2] then ff.gather(call) end
  return ahead
end

-- The same. If the record that the task concerns is unreadable, it is set aside, and nil is answered: its retry begins
-- the task again.
local function read_ahead(call, task, units)
  local ran, ahead = pcall(steps_ahead, call, task, units)
  if ran then return ahead end
  -- Tasks of a flow read only the index of its members, whose damage concerns all callers.
  ff.contain(ahead)
  ff.set_aside(call, TIMER.execution .. task.about, ahead)
  return nil
end

-- Checks all keys that an ending writes.
local function check_ending(call, execution)
  local purge_at, purge_text = ff.check_ending(call, execution)
  if ff.is_queued(execution) then ff.check_queue_of(call, execution) end
  return purge_at, purge_text
end

local function cancel(call, flow, execution, reason)
  local purge_at, purge_text = check_ending(call, execution)
  ff.cancel_quietly(call, execution, LIMIT.walker, reason, purge_at, purge_text)
  return ends_of(flow, execution)
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
    return end_of(flow, execution)
  end
  if situation ~= SITUATION.blocked_dependencies then return nil end
  if ff.owes_cancel(flow, situation) then return cancel(call, flow, execution, ff.cancel_reason_of(flow)) end
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
    siblings = siblings_of(flow, execution.id)
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
  local edge = { id = edge_id, dependency = texts[edge_id] }
  ff.read_edge(edge)
  return edge
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
  if ff.owes_cancel(flow, execution.situation) then return cancel(call, flow, execution, ff.cancel_reason_of(flow)) end
  return nil
end

local function resolve_edge(call, flow, bucket, execution, edge_id, together)
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

local function evaluate(call, flow, execution)
  if execution.situation ~= SITUATION.blocked_dependencies then return decide(call, flow, execution) end
  if execution.leading == 0 then
    if ff.owes_cancel(flow, execution.situation) then
      return cancel(call, flow, execution, ff.cancel_reason_of(flow))
    end
    unblock(call, execution)
    return nil
  end
  if execution.group_state == GROUP_STATE.pending then return decide(call, flow, execution) end
  -- A failed call decided its group and did not let it continue.
  local siblings = execution.on_satisfied == ON_SATISFIED.cancel_remaining and siblings_of(flow, execution.id) or nil
  return siblings, settle_member(call, flow, execution, execution.group_state)
end

-- The execution of a step. Those to which edges led stay in hand, as do members that a walk cancels, because edges of
-- others mostly lead to them: each is read once, and its edges are written together, before any other read of it.
local function look_at(call, task, id)
  local hand, is_of_edge = call.members_in_hand, task.kind == WALK_KIND.resolve
  if hand and hand[id] then
    if is_of_edge then return hand[id] end
    ff.leave_members_in_hand(call)
  end
  local execution = load(call, id)
  if not execution then return ff.check_left(call, task.flow.id, id) end
  if execution.group ~= '' or is_of_edge then
    ff.count_group(execution)
  else
    execution.group_state, execution.is_parent, execution.leading = GROUP_STATE.none, '', 0
  end
  if execution.grant ~= '' then ff.read_grant(execution) end
  execution.flow = task.flow.id
  if is_of_edge or task.kind == WALK_KIND.cancel and execution.group ~= '' then
    hand = call.members_in_hand or {}
    hand[#hand + 1], hand[id], call.members_in_hand = execution, execution, hand
  end
  return execution
end

local try_step

-- Cancels an upstream of a group. If it has no other outgoing edge than the one to the group, as most have, that edge is
-- resolved in the same step. Answers at most four tasks.
local function cancel_sibling(call, task, execution, step)
  local plain = ff.is_plain_sibling(execution)
  local children, its_end = cancel(call, task.flow, execution, task.reason)
  if plain then ff.note_plain_sibling(call, task, execution) end
  if not step.is_only then return children, its_end end
  -- It has its own try: if the group is unreadable, the group is set aside.
  return children, try_step(call, its_end, { id = task.about, edge = step.edge, together = step.together })
end

local function run_step(call, task, step)
  local execution = look_at(call, task, step.id)
  if not execution then return nil end
  local flow = task.flow
  if task.kind == WALK_KIND.resolve then return resolve_edge(call, flow, task.bucket, execution, step.edge, step.together) end
  if task.kind == WALK_KIND.evaluate then return evaluate(call, flow, execution) end
  if task.kind == WALK_KIND.siblings then
    if ff.is_terminal(execution.situation) then return nil end
    -- The end of a parent means more than its edge.
    if execution.is_parent ~= '' then step.together = false end
    if not step.together then ff.apply.dependencies_resolved(call) end
    return cancel_sibling(call, task, execution, step)
  end
  if not ff.owes_cancel(flow, execution.situation) then return nil end
  return cancel(call, flow, execution, ff.cancel_reason_of(flow))
end

-- Runs a step; an unreadable record is set aside, and the other steps go on.
function try_step(call, task, step)
  local ran, first, second, third, fourth = pcall(run_step, call, task, step)
  if ran then return first, second, third, fourth end
  ff.leave_members_in_hand(call)
  ff.contain(first)
  ff.set_aside(call, TIMER.execution .. step.id, first)
  return nil
end

-- Adds the tasks of a step: at most four, any of which may be nil.
local function list(tasks, first, second, third, fourth)
  tasks[#tasks + 1] = first
  tasks[#tasks + 1] = second
  tasks[#tasks + 1] = third
  tasks[#tasks + 1] = fourth
end

local function push(call, stack, task, units)
  if task then stack[#stack + 1] = read_ahead(call, task, units) end
end

-- Whether a step of a task ends a member; the twin of `endsMembers`.
local function ends_members(task)
  return task.kind == WALK_KIND.siblings or task.kind == WALK_KIND.cancel
end

-- Does at most `units` units of the tasks. Answers the remaining tasks, the next one last.
local function cascade(call, tasks, units)
  local stack = {}
  for i = 1, #tasks do push(call, stack, tasks[i], units) end
  local left, for_ending = units, math.max(1, math.min(units, LIMIT.units_of_an_ending))
  while #stack > 0 do
    local top = stack[#stack]
    if not top.steps[top.at] then ff.apply.dependencies_resolved(call) end
    if not top.steps[top.at] and top.is_cut then
      top = read_ahead(call, top.task, left) or { steps = {}, at = 1 }
      stack[#stack] = top
    end
    local step = top.steps[top.at]
    if not step then
      stack[#stack] = nil
    elseif left < (ends_members(top.task) and for_ending or 1) then
      break
    else
      if top.upstreams then
        local before = left
        left = ff.end_alike(call, top, left, for_ending)
        step = left == before and ff.sibling_step(top)
      end
      if step then
        left = left - 1
        top.at = top.at + 1
        top.task.cursor = step.cursor
        local first, second, third, fourth = try_step(call, top.task, step)
        push(call, stack, first, left)
        push(call, stack, second, left)
        push(call, stack, third, left)
        push(call, stack, fourth, left)
      end
    end
  end
  ff.apply.dependencies_resolved(call)
  -- Completions of one call mostly lead to one execution, which is written after the last of them.
  if not call.completions then ff.leave_members_in_hand(call) end
  local rest = {}
  for i = 1, #stack do
    local entry = stack[i]
    if entry.at <= #entry.steps or entry.is_cut then rest[#rest + 1] = entry.task end
  end
  return rest
end

-- Records the tasks that a call could not do as walks.
local function write_walks(call, tasks)
  for i = 1, #tasks do
    local task = tasks[i]
    local walk = walk_of(task)
    local is_there = command('EXISTS', call.base .. WALK.key .. walk.id) == 1
    if not is_there then
      ff.apply.walk_begun(call, task.flow, walk)
    elseif task.kind == WALK_KIND.evaluate or task.kind == WALK_KIND.siblings then
      ff.apply.walk_advanced(call, task.flow, walk)
    end
  end
end

-- Records that a flow has finished.
local function finish(call, flow)
  local in_hand = call.members_in_hand and call.members_in_hand[#call.members_in_hand]
  if in_hand and in_hand.flow == flow.id and not ff.is_terminal(in_hand.situation) then return end
  if flow.is_purging ~= '' or flow.purge_at ~= '' then return end
  if ff.is_unsealed(flow) then return end
  if flow.nodes == 0 and flow.flow_state == FLOW_STATE.open and flow.is_closed == '' then return end
  if ff.live_members(call, flow.id) > 0 then return end
  ff.apply.flow_finished(call, flow, ff.plain_purge_time(call))
end

-- A readable flow; an unreadable one is set aside, and the answer is nil.
function ff.readable_flow(call, id)
  local ran, flow = pcall(ff.flow_in_hand, call, id)
  if ran then return flow end
  ff.contain(flow)
  ff.set_aside(call, TIMER.flow .. id, flow)
  return nil
end

-- The flow of a member whose situation has changed. If it is missing or unreadable, the member is set aside: its retry
-- does what is owed to others.
local function flow_of_member(call, execution)
  local id = ff.flow_of(execution)
  local flow = id and ff.readable_flow(call, id)
  if not flow then ff.set_aside(call, TIMER.execution .. execution.id, { err = 'DAMAGED its flow cannot be read' }) end
  return flow
end

-- Whether a member that has just ended leaves children that are no longer needed.
local function is_orphaning(call, execution)
  if execution.situation == SITUATION.completed or not string.find(execution.extras, FIELD.group, 1, true) then return false end
  return ff.has_orphaned(ff.group_of(call, execution.id))
end

-- The first task and step of a completion: tables that are reused.
local completed, its_edge = { kind = WALK_KIND.resolve, bucket = BUCKET.succeeded }, {}

-- Handles the completion of a member in its flow. It mostly has one outgoing edge, and no further tasks follow.
function ff.settle_completion(call, execution, flow_id)
  local flow = call.flow
  if not flow or flow.id ~= flow_id then flow = flow_of_member(call, execution) end
  if not flow then return end
  local edge_id, downstream = ff.only_edge_of(execution)
  if not edge_id then
    local task = { kind = WALK_KIND.resolve, flow = flow, about = execution.id, cursor = '', bucket = BUCKET.succeeded }
    task.are_several = true
    write_walks(call, cascade(call, { task }, LIMIT.units_at_once))
    return finish(call, flow)
  end
  completed.flow, its_edge.edge, its_edge.id = flow, edge_id, downstream
  local first, second, third = try_step(call, completed, its_edge)
  if first or second or third then
    local tasks = {}
    list(tasks, first, second, third)
    write_walks(call, cascade(call, tasks, LIMIT.units_at_once - 1))
  end
  finish(call, flow)
end

-- Handles the end of an execution in its flow, if it is in one.
function ff.settle_end(call, execution)
  if not ff.is_member(execution) then return end
  local flow = flow_of_member(call, execution)
  if not flow then return end
  local tasks = {}
  if is_orphaning(call, execution) then tasks[1] = siblings_of(flow, execution.id) end
  tasks[#tasks + 1] = end_of(flow, execution)
  write_walks(call, cascade(call, tasks, later and 0 or LIMIT.units_at_once))
  finish(call, flow)
end

-- Ends a member that was left running by the cancellation of its flow and has returned without finishing.
function ff.settle_return(call, execution)
  if not ff.is_member(execution) then return end
  local flow = flow_of_member(call, execution)
  if not flow or not ff.owes_cancel(flow, execution.situation) then return end
  local tasks = {}
  list(tasks, try_step(call, { kind = WALK_KIND.cancel, flow = flow }, { id = execution.id }))
  write_walks(call, cascade(call, tasks, later and 0 or LIMIT.units_at_once))
  finish(call, flow)
end

-- Handles the aftermath of a command: edges whose upstreams have already ended (edge, downstream, and the upstream or
-- its bucket), and tasks.
function ff.settle_flow(call, flow, new_edges, tasks)
  local all = tasks or {}
  for i = 1, #new_edges do
    local edge = new_edges[i]
    local bucket = edge.bucket or ff.bucket_of(call, edge.upstream) or false
    local task = { kind = WALK_KIND.resolve, flow = flow, bucket = bucket }
    list(all, try_step(call, task, { id = edge.downstream, edge = edge.edge }))
  end
  write_walks(call, cascade(call, all, LIMIT.units_at_once))
  finish(call, flow)
end

local function has_walk(call, kind, about)
  return command('EXISTS', call.base .. WALK.key .. kind .. about) == 1
end

-- Whether the upstream of an edge has ended, but the edge is not resolved and no walk will resolve it.
function ff.is_unresolved_end(call, edge)
  return edge.edge_state == EDGE_STATE.unsatisfied and ff.bucket_of(call, edge.upstream) ~= nil
    and not has_walk(call, WALK_KIND.resolve, edge.upstream)
end

-- Lets a member that waits for others continue, if a failed call did not.
local function continue_member(call, flow, id)
  local execution = look_at(call, { kind = WALK_KIND.evaluate, flow = flow }, id)
  if not execution or execution.situation ~= SITUATION.blocked_dependencies then return nil end
  if flow.is_building ~= '' or ff.owes_cancel(flow, execution.situation) then return nil end
  return evaluate(call, flow, execution)
end

-- The task that checks the waiting members of a flow again.
function ff.evaluation_of(flow)
  return { kind = WALK_KIND.evaluate, flow = flow, about = flow.id, cursor = '' }
end

-- Completes for a member what failed calls have left: its own continuation, and the consequences of the ends of its
-- upstreams (`ended`); edges whose upstreams are lost (`lost`) count as failed. Further tasks become walks, because
-- counts may be damaged at present. Answers 1 when anything was left. For `verifyPartition`.
function ff.resume_member(call, flow_id, id, ended, lost)
  local flow = ff.readable_flow(call, flow_id)
  if not flow then return 0 end
  local before, tasks = call.sequence, {}
  for i = 1, #ended do tasks[i] = { kind = WALK_KIND.resolve, flow = flow, about = ended[i], cursor = '' } end
  for i = 1, #lost do
    list(tasks, try_step(call, { kind = WALK_KIND.resolve, flow = flow, bucket = BUCKET.failed }, { id = id, edge = lost[i] }))
  end
  ff.leave_members_in_hand(call)
  local ran, first, second = pcall(continue_member, call, flow, id)
  if ran then list(tasks, first, second) else ff.contain(first) end
  if call.sequence > before then tasks[#tasks + 1] = ff.evaluation_of(flow) end
  write_walks(call, tasks)
  return call.sequence > before and 1 or 0
end

-- The tasks of a member that is readable again; they find nothing where they were done. `is_left`: an upstream of its
-- current group has not ended. Needs its group counted.
function ff.tasks_of_retry(flow, execution, is_left)
  local tasks, state = {}, execution.group_state
  local owes_siblings = is_left and execution.on_satisfied == ON_SATISFIED.cancel_remaining and state ~= GROUP_STATE.pending
  -- The tasks of a bad end of a parent cancel all its children.
  if owes_siblings and not ff.has_orphaned(execution) then tasks[1] = siblings_of(flow, execution.id) end
  if ff.is_terminal(execution.situation) then list(tasks, ends_of(flow, execution)) end
  return tasks
end

-- Handles a member that is readable again: a walk that cancels or evaluates the members of its flow has passed it, edges
-- that it missed are resolved, and its tasks are done.
function ff.settle_retried_member(call, flow, id, missed, tasks)
  list(tasks, try_step(call, { kind = WALK_KIND.cancel, flow = flow }, { id = id }))
  if flow.is_building == '' then list(tasks, try_step(call, { kind = WALK_KIND.evaluate, flow = flow }, { id = id })) end
  ff.settle_flow(call, flow, missed, tasks)
end

function ff.cancellation_of(flow)
  return { kind = WALK_KIND.cancel, flow = flow, about = flow.id, cursor = '' }
end

-- Whether the counts of a cancelled flow have members to end.
local function counts_owed(call, flow)
  local counts = command('HGETALL', call.base .. KEY.counts .. LIMIT.counted_flow .. flow.id)
  for i = 1, #counts, 2 do
    if (tonumber(counts[i + 1]) or 0) > 0 and ff.owes_cancel(flow, counts[i]) then return true end
  end
  return false
end

-- Whether a cancelled flow counts members to end and has no walk that does it.
function ff.may_have_lost_cancellation(call, flow)
  return flow.flow_state == FLOW_STATE.cancelled and not has_walk(call, WALK_KIND.cancel, flow.id) and counts_owed(call, flow)
end

-- Whether a cancelled flow has yet to end one of some members. Those in quarantine are ended when they are retried.
local function owes_any(call, flow, ids)
  for i = 1, #ids do
    local situation = ff.stored_situation(call, ids[i])
    local is_owed = situation and ff.owes_cancel(flow, situation)
    if is_owed and command('HEXISTS', call.base .. KEY.quarantine, TIMER.execution .. ids[i]) == 0 then return true end
  end
  return false
end

-- Goes on with a cancellation whose walk is lost, if it has yet to end one of some members. Answers whether it has. The
-- flow does not end while an execution is set aside, which could be a member.
function ff.resume_cancellation(call, flow, ids)
  if not ff.may_have_lost_cancellation(call, flow) or not owes_any(call, flow, ids) then return false end
  write_walks(call, cascade(call, { ff.cancellation_of(flow) }, LIMIT.units_at_once))
  if not ff.is_execution_aside(call) then finish(call, flow) end
  return true
end

-- A walk by its name, from its beginning: all that is known of a lost one. Its steps do nothing where it has been. Nil
-- when what it concerns is gone.
function ff.walk_named(call, id)
  local kind, about = string.sub(id, 1, 1), string.sub(id, 2)
  local of_flow = is_of_flow(kind)
  local flow_id = of_flow and about or ff.flow_of({ id = about, key = call.base .. about })
  local flow = flow_id and ff.load_flow(call, flow_id)
  if not flow then return nil end
  return { id = id, kind = kind, flow = flow_id, of = of_flow and '' or about, cursor = '' }
end

-- Does what was left for a flow that is readable again: its timer, the rest of its cancellation or seal, and its end.
function ff.settle_retried(call, flow)
  ff.set_flow_timer(call, flow, ff.timer_of_flow(flow))
  if flow.purge_at ~= '' then return end
  local tasks = {}
  if flow.flow_state == FLOW_STATE.cancelled and flow.cancellation_policy ~= CANCELLATION.flow_only then
    tasks[1] = ff.cancellation_of(flow)
  elseif flow.is_building == '' then
    tasks[1] = ff.evaluation_of(flow)
  end
  ff.settle_flow(call, flow, {}, tasks)
end

-- Continues a walk.
function ff.walk_on(call, flow, walk, units)
  local task = { kind = walk.walk_kind, flow = flow, about = walk.walk_of ~= '' and walk.walk_of or flow.id, cursor = walk.cursor }
  local rest = cascade(call, { task }, units)
  local others, more = {}, nil
  local id = walk_of(task).id
  for i = 1, #rest do
    local other = rest[i]
    -- The end of the last child can decide its group, which begins the same walk again.
    if not more and walk_of(other).id == id then more = other else others[#others + 1] = other end
  end
  if more then
    ff.apply.walk_advanced(call, flow, walk_of(more))
  else
    ff.apply.walk_ended(call, flow, walk_of(task))
  end
  write_walks(call, others)
  finish(call, flow)
end
