-- What is left to do after an end in a flow: tasks, and the walks that record those that a call could not do; the twin
-- of model/flow/tasks.ts.

local function is_of_flow(kind)
  return kind == WALK_KIND.cancel or kind == WALK_KIND.evaluate
end

function ff.walk_of_task(task)
  local of_flow = is_of_flow(task.kind)
  return {
    id = task.kind .. (of_flow and task.flow.id or task.about), kind = task.kind, flow = task.flow.id,
    of = of_flow and '' or task.about, cursor = task.cursor,
  }
end

-- How groups count an execution in a situation; nil when it has not ended.
function ff.bucket_in(situation)
  if PHASE[situation] ~= 'terminal' then return nil end
  if situation == SITUATION.completed then return BUCKET.succeeded end
  return situation == SITUATION.skipped and BUCKET.skipped or BUCKET.failed
end

-- The task for an execution that has just ended.
function ff.end_of(flow, execution)
  return {
    kind = WALK_KIND.resolve, flow = flow, about = execution.id, cursor = '', bucket = ff.bucket_in(execution.situation),
  }
end

function ff.siblings_of(flow, id)
  return { kind = WALK_KIND.siblings, flow = flow, about = id, cursor = '' }
end

-- The tasks after the end of a member, at most two; the twin of `endsOf`. Needs its group read.
function ff.ends_of(flow, execution)
  return ff.has_orphaned(execution) and ff.siblings_of(flow, execution.id) or nil, ff.end_of(flow, execution)
end

-- The task that checks the waiting members of a flow again.
function ff.evaluation_of(flow)
  return { kind = WALK_KIND.evaluate, flow = flow, about = flow.id, cursor = '' }
end

function ff.cancellation_of(flow)
  return { kind = WALK_KIND.cancel, flow = flow, about = flow.id, cursor = '' }
end

-- Adds the tasks of a step: at most four, any of which may be nil.
function ff.add_tasks(tasks, first, second, third, fourth)
  tasks[#tasks + 1] = first
  tasks[#tasks + 1] = second
  tasks[#tasks + 1] = third
  tasks[#tasks + 1] = fourth
end

-- Records the tasks that a call could not do as walks.
function ff.write_walks(call, tasks)
  for i = 1, #tasks do
    local task = tasks[i]
    local walk = ff.walk_of_task(task)
    local is_there = command('EXISTS', call.base .. WALK.key .. walk.id) == 1
    if not is_there then
      ff.apply.walk_begun(call, task.flow, walk)
    elseif task.kind == WALK_KIND.evaluate or task.kind == WALK_KIND.siblings then
      ff.apply.walk_advanced(call, task.flow, walk)
    end
  end
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
