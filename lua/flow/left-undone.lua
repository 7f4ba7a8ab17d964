-- Does in a flow what calls that failed, and records that were unreadable, have left undone: for `verifyPartition`, for
-- retries of the quarantine, and for cancellations whose walk is lost.

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
  local execution = ff.member_of_step(call, { kind = WALK_KIND.evaluate, flow = flow }, id)
  if not execution or execution.situation ~= SITUATION.blocked_dependencies then return nil end
  if flow.is_building ~= '' or ff.owes_cancel(flow, execution.situation) then return nil end
  return ff.evaluate_member(call, flow, execution)
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
    ff.add_tasks(tasks, ff.try_step(call, { kind = WALK_KIND.resolve, flow = flow, bucket = BUCKET.failed }, { id = id, edge = lost[i] }))
  end
  ff.leave_members_in_hand(call)
  local ran, first, second = pcall(continue_member, call, flow, id)
  if ran then ff.add_tasks(tasks, first, second) else ff.contain(first) end
  if call.sequence > before then tasks[#tasks + 1] = ff.evaluation_of(flow) end
  ff.write_walks(call, tasks)
  return call.sequence > before and 1 or 0
end

-- The tasks of a member that is readable again; they find nothing where they were done. `is_left`: an upstream of its
-- current group has not ended. Needs its group counted.
function ff.tasks_of_retry(flow, execution, is_left)
  local tasks, state = {}, execution.group_state
  local owes_siblings = is_left and execution.on_satisfied == ON_SATISFIED.cancel_remaining and state ~= GROUP_STATE.pending
  -- The tasks of a bad end of a parent cancel all its children.
  if owes_siblings and not ff.has_orphaned(execution) then tasks[1] = ff.siblings_of(flow, execution.id) end
  if ff.is_terminal(execution.situation) then ff.add_tasks(tasks, ff.ends_of(flow, execution)) end
  return tasks
end

-- Handles a member that is readable again: a walk that cancels or evaluates the members of its flow has passed it, edges
-- that it missed are resolved, and its tasks are done.
function ff.settle_retried_member(call, flow, id, missed, tasks)
  ff.add_tasks(tasks, ff.try_step(call, { kind = WALK_KIND.cancel, flow = flow }, { id = id }))
  if flow.is_building == '' then ff.add_tasks(tasks, ff.try_step(call, { kind = WALK_KIND.evaluate, flow = flow }, { id = id })) end
  ff.settle_flow(call, flow, missed, tasks)
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
  ff.write_walks(call, ff.cascade(call, { ff.cancellation_of(flow) }, LIMIT.units_at_once))
  if not ff.is_execution_aside(call) then ff.finish_flow(call, flow) end
  return true
end

-- Does what was left for a flow that is readable again: its timer, the rest of its cancellation or seal, and its end.
function ff.settle_retried(call, flow)
  ff.set_flow_timer(call, flow, ff.timer_of_flow(flow))
  if ff.has_finished(flow) then return end
  local tasks = {}
  if flow.flow_state == FLOW_STATE.cancelled and flow.cancellation_policy ~= CANCELLATION.flow_only then
    tasks[1] = ff.cancellation_of(flow)
  elseif flow.is_building == '' then
    tasks[1] = ff.evaluation_of(flow)
  end
  ff.settle_flow(call, flow, {}, tasks)
end
