-- The consequences of a command in its flow, beyond its own events; the twin of model/flow/settle.ts. Tasks that the call
-- cannot do become walks.

-- Set while a command that read several executions changes them: the consequences are left to later calls.
local later = false

function ff.settle_later(is_later)
  later = is_later
end

-- Records that a flow has finished.
function ff.finish_flow(call, flow)
  local in_hand = call.members_in_hand and call.members_in_hand[#call.members_in_hand]
  if in_hand and in_hand.flow == flow.id and not ff.is_terminal(in_hand.situation) then return end
  if flow.is_purging ~= '' or ff.has_finished(flow) then return end
  if ff.is_unsealed(flow) then return end
  if flow.nodes == 0 and flow.flow_state == FLOW_STATE.open and flow.is_closed == '' then return end
  if ff.live_members(call, flow.id) > 0 then return end
  ff.apply.flow_finished(call, flow, ff.purge_time_of_flow(call, flow))
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
    ff.write_walks(call, ff.cascade(call, { task }, LIMIT.units_at_once))
    return ff.finish_flow(call, flow)
  end
  completed.flow, its_edge.edge, its_edge.id = flow, edge_id, downstream
  local first, second, third = ff.try_step(call, completed, its_edge)
  if first or second or third then
    local tasks = {}
    ff.add_tasks(tasks, first, second, third)
    ff.write_walks(call, ff.cascade(call, tasks, LIMIT.units_at_once - 1))
  end
  ff.finish_flow(call, flow)
end

-- Handles the end of an execution in its flow, if it is in one.
function ff.settle_end(call, execution)
  if not ff.is_member(execution) then return end
  local flow = flow_of_member(call, execution)
  if not flow then return end
  local tasks = {}
  if is_orphaning(call, execution) then tasks[1] = ff.siblings_of(flow, execution.id) end
  tasks[#tasks + 1] = ff.end_of(flow, execution)
  ff.write_walks(call, ff.cascade(call, tasks, later and 0 or LIMIT.units_at_once))
  ff.finish_flow(call, flow)
end

-- Ends a member that was left running by the cancellation of its flow and has returned without finishing.
function ff.settle_return(call, execution)
  if not ff.is_member(execution) then return end
  local flow = flow_of_member(call, execution)
  if not flow or not ff.owes_cancel(flow, execution.situation) then return end
  local tasks = {}
  ff.add_tasks(tasks, ff.try_step(call, { kind = WALK_KIND.cancel, flow = flow }, { id = execution.id }))
  ff.write_walks(call, ff.cascade(call, tasks, later and 0 or LIMIT.units_at_once))
  ff.finish_flow(call, flow)
end

-- Handles the aftermath of a command: edges whose upstreams have already ended (edge, downstream, and the upstream or
-- its bucket), and tasks.
function ff.settle_flow(call, flow, new_edges, tasks)
  local all = tasks or {}
  for i = 1, #new_edges do
    local edge = new_edges[i]
    local bucket = edge.bucket or ff.bucket_of(call, edge.upstream) or false
    local task = { kind = WALK_KIND.resolve, flow = flow, bucket = bucket }
    ff.add_tasks(all, ff.try_step(call, task, { id = edge.downstream, edge = edge.edge }))
  end
  ff.write_walks(call, ff.cascade(call, all, LIMIT.units_at_once))
  ff.finish_flow(call, flow)
end

-- Continues a walk.
function ff.walk_on(call, flow, walk, units)
  local task = { kind = walk.walk_kind, flow = flow, about = walk.walk_of ~= '' and walk.walk_of or flow.id, cursor = walk.cursor }
  local rest = ff.cascade(call, { task }, units)
  local others, more = {}, nil
  local id = ff.walk_of_task(task).id
  for i = 1, #rest do
    local other = rest[i]
    -- The end of the last child can decide its group, which begins the same walk again.
    if not more and ff.walk_of_task(other).id == id then more = other else others[#others + 1] = other end
  end
  if more then
    ff.apply.walk_advanced(call, flow, ff.walk_of_task(more))
  else
    ff.apply.walk_ended(call, flow, ff.walk_of_task(task))
  end
  ff.write_walks(call, others)
  ff.finish_flow(call, flow)
end
