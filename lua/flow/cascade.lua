-- The tasks after an end in a flow, as a stack of which a call does a bounded part; the twin of model/flow/cascade.ts.
-- Each step reads one execution, and writes its decision before the next step reads: so an unreadable record is set
-- aside alone.

local load = ff.loader('naming', 'given', 'bounds', 'needs', 'fence', 'timing', 'rules', 'wait', 'streams', 'grant', 'group')

-- How groups count the end of an execution; nil when it has not ended.
function ff.bucket_of(call, id)
  return ff.bucket_in(ff.stored_situation(call, id))
end

-- How groups count what a task concerns; false when it has not ended.
local function bucket_of_subject(call, task)
  local situation = ff.stored_situation(call, task.about)
  if not situation then ff.check_left(call, task.flow.id, task.about) end
  return ff.bucket_in(situation) or false
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

-- The execution of a step. Those to which edges led stay in hand, as do members that a walk cancels, because edges of
-- others mostly lead to them: each is read once, and its edges are written together, before any other read of it.
function ff.member_of_step(call, task, id)
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

local function run_step(call, task, step)
  local execution = ff.member_of_step(call, task, step.id)
  if not execution then return nil end
  local flow = task.flow
  if task.kind == WALK_KIND.resolve then return ff.resolve_edge(call, flow, task.bucket, execution, step.edge, step.together) end
  if task.kind == WALK_KIND.evaluate then return ff.evaluate_member(call, flow, execution) end
  if task.kind == WALK_KIND.siblings then
    if ff.is_terminal(execution.situation) then return nil end
    -- The end of a parent means more than its edge.
    if execution.is_parent ~= '' then step.together = false end
    if not step.together then ff.apply.dependencies_resolved(call) end
    return ff.cancel_sibling(call, task, execution, step)
  end
  if not ff.owes_cancel(flow, execution.situation) then return nil end
  return ff.cancel_member(call, flow, execution, ff.cancel_reason_of(flow))
end

-- Runs a step; an unreadable record is set aside, and the other steps go on.
function ff.try_step(call, task, step)
  local ran, first, second, third, fourth = pcall(run_step, call, task, step)
  if ran then return first, second, third, fourth end
  ff.leave_members_in_hand(call)
  ff.contain(first)
  ff.set_aside(call, TIMER.execution .. step.id, first)
  return nil
end

local function push(call, stack, task, units)
  if task then stack[#stack + 1] = read_ahead(call, task, units) end
end

-- Whether a step of a task ends a member; the twin of `endsMembers`.
local function ends_members(task)
  return task.kind == WALK_KIND.siblings or task.kind == WALK_KIND.cancel
end

-- Does at most `units` units of the tasks; the waitpoints that the last step closes can exceed them. Answers the
-- remaining tasks, the next one last.
function ff.cascade(call, tasks, units)
  local stack, closings = {}, 0
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
        top.at = top.at + 1
        top.task.cursor = step.cursor
        local before = call.work
        local first, second, third, fourth = ff.try_step(call, top.task, step)
        local closed = math.min(left - 1, call.work - before)
        left, closings = left - 1 - closed, closings + closed
        push(call, stack, first, left)
        push(call, stack, second, left)
        push(call, stack, third, left)
        push(call, stack, fourth, left)
      end
    end
  end
  ff.apply.dependencies_resolved(call)
  -- Waitpoints that steps closed are counted already.
  call.work = call.work + units - left - closings
  -- Completions of one call mostly lead to one execution, which is written after the last of them.
  if not call.completions then ff.leave_members_in_hand(call) end
  local rest = {}
  for i = 1, #stack do
    local entry = stack[i]
    if entry.at <= #entry.steps or entry.is_cut then rest[#rest + 1] = entry.task end
  end
  return rest
end
