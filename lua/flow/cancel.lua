-- cancel_flow_header: see model/flow/cancel.ts

function ff.apply.flow_cancelled(call, flow, reason, letter)
  local key = flow.key
  local had_deadline = ff.has_build_deadline(flow)
  flow.flow_state, flow.last_mutation_at = FLOW_STATE.cancelled, call.now_text
  flow.cancellation_policy = letter == CANCELLATION_LETTER.flow_only and CANCELLATION.flow_only or letter
  if had_deadline and not ff.has_build_deadline(flow) then ff.set_flow_timer(call, flow, '') end
  command('HSET', key, FLOW.cancel, ff.flow_cancel_text(call.now_text, flow.cancellation_policy),
    FLOW.cancel_reason, ff.fit(key, FLOW.cancel_reason, reason))
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_cancelled, flow.id, letter, reason)
  local tasks = {}
  if flow.cancellation_policy ~= CANCELLATION.flow_only then
    tasks[1] = ff.cancellation_of(flow)
  elseif flow.is_building == '' and flow.is_closed == '' then
    -- A group with too few edges is impossible now.
    tasks[1] = ff.evaluation_of(flow)
  end
  ff.settle_flow(call, flow, {}, tasks)
end

local LETTERS = {
  flow_only = CANCELLATION_LETTER.flow_only, cancel_all = CANCELLATION_LETTER.cancel_all,
  cancel_pending = CANCELLATION_LETTER.cancel_pending,
}

function ff.decide.cancel_flow_header(call, flow_id, reason, cancellation_policy)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  if flow.flow_state == FLOW_STATE.cancelled then
    local policy = CANCELLATION_WORD[flow.cancellation_policy]
    return { KIND.already_terminal, policy, ff.cancel_reason_of(flow), flow.nodes }
  end
  local is_complete = flow.is_closed ~= '' and flow.is_building == '' and ff.have_all_ended(call, flow)
  if is_complete or flow.is_purging ~= '' then return { KIND.already_terminal, '', '', flow.nodes } end
  ff.timers_of(call)
  return { KIND.cancelled, flow.nodes }, ff.apply.flow_cancelled, flow, reason, LETTERS[cancellation_policy]
end
