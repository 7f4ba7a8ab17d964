-- What is due for flows; the twin of model/flow/due.ts.

local load_member = ff.loader('naming', 'own', 'fence', 'tags', 'streams')

local function advance_walk(call, walk, flow, units)
  ff.walk_on(call, flow, walk, units)
end

function ff.due.walk(call, id, _, limit)
  local walk = ff.load_walk(call, id) or ff.damaged('the record is missing')
  local flow = ff.load_flow(call, walk.walk_flow) or ff.damaged('its flow is missing')
  local is_over_members = walk.walk_kind == WALK_KIND.cancel or walk.walk_kind == WALK_KIND.evaluate
  if ff.check_flow(call, flow.id) == 0 and is_over_members and ff.has_members(call, flow.id) then
    ff.damaged('the members of its flow are lost or miscounted; verify the partition, then retry it')
  end
  ff.timers_of(call)
  return { entity = walk, kind = 'walk', apply = advance_walk, a = flow, b = math.min(limit, LIMIT.units_of_a_walk) }
end

-- Ends unfinished walks. They and the flow leave the quarantine, as do members that are purged.
local function end_walks(call, flow, walks, members)
  for i = 1, #walks do ff.apply.walk_ended(call, flow, walks[i]) end
  ff.forget_walks(call, flow.id, members)
  ff.leave_quarantine(call, members, { TIMER.flow .. flow.id })
end

local function purge(call, flow, walks)
  end_walks(call, flow, walks, {})
  ff.apply.flow_purged(call, flow)
end

-- The flow and its walks stay in quarantine until a first member is purged: until then members can be replayed.
local function forget(call, flow, walks, members)
  if flow.is_purging == '' then ff.apply.flow_purge_begun(call, flow) end
  end_walks(call, flow, walks, members)
  for i = 1, #members do ff.apply.execution_purged(call, members[i]) end
end

local function time_out(call, flow)
  ff.apply.flow_cancelled(call, flow, LIMIT.build_timed_out, CANCELLATION_LETTER.cancel_all)
end

-- Cancels a flow that was not sealed in time. Of a finished flow it purges some members, in reverse order of joining;
-- or the flow, if no members are left. A timer that does not agree with the record is corrected.
function ff.due.flow(call, id, _, limit)
  local flow = ff.load_flow(call, id) or ff.damaged('the record is missing')
  ff.check_flow(call, id)
  ff.timers_of(call)
  local at = ff.timer_of_flow(flow)
  if at == '' or not ff.has_passed(call, at) then return { entity = flow, kind = 'flow', apply = ff.set_flow_timer, a = at } end
  if ff.has_build_deadline(flow) then return { entity = flow, kind = 'flow', apply = time_out } end
  local count = math.max(1, math.floor(limit / LIMIT.purge_units))
  local ids = command('ZREVRANGE', call.base .. KEY.members .. id, 0, count - 1)
  local members, units = {}, limit
  for i = 1, #ids do
    local member = load_member(call, ids[i]) or ff.damaged('a member is missing')
    -- Wrong counts can hide that it has not ended.
    if not ff.is_terminal(member.situation) then ff.damaged('a member has not ended') end
    units = units - ff.units_of_purge(member)
    if units < 0 and i > 1 then break end
    member.flow = id
    ff.check_ids(call, ids[i])
    ff.check_streams(call, member)
    members[i] = member
  end
  if not ids[1] and ff.has_members(call, id) then
    ff.damaged('its members are lost or miscounted; verify the partition, then retry it')
  end
  local walks = ff.walks_of(call, id, members)
  -- The purge removes the flow from this list: one of another type must fail the pass before it writes.
  command('ZCARD', call.base .. KEY.flows)
  if not ids[1] then return { entity = flow, kind = 'flow', apply = purge, a = walks } end
  return { entity = flow, kind = 'flow', apply = forget, a = walks, b = members, purged = #members }
end
