-- suspend_execution: see model/suspension/suspend.ts

local load = ff.loader('naming', 'bounds', 'fence', 'timing', 'wait', 'kept', 'rules')

-- The answer of a suspension: only its kind for a new suspension of new waitpoints without tokens.
local function answer(call, kind, suspension_id, superseded, waitpoints, tokens)
  local texts = {}
  for i = 1, #waitpoints do
    local it = waitpoints[i]
    texts[3 * i - 2], texts[3 * i - 1] = it.id, it.waitpoint_key
    texts[3 * i] = tokens ~= '' and ff.current_token(call, it) or ''
  end
  return { kind, suspension_id, superseded and '1' or '', texts }
end

-- A digest of the request, without ids that the caller mints anew for each. The twin of `digestOfRequest`.
local function digest_of(asked, bindings, condition)
  local keys = {}
  for id, key in string.gmatch(bindings, '([^\n\t]+)\t([^\n]*)') do keys[#keys + 1] = key ~= '' and key or '\t' .. id end
  return server.sha1hex(asked .. '\t' .. table.concat(keys, '\t') .. '\n' .. condition)
end

local function waitpoints_named(execution, ids)
  local waitpoints = {}
  for id in string.gmatch(ids, '[^,]+') do
    waitpoints[#waitpoints + 1] = ff.waitpoint_of(execution, id) or ff.damaged('a waitpoint is missing')
  end
  return waitpoints
end

-- The answer to a known idempotency key, or nil.
local function known_answer(call, execution, name, digest, tokens)
  if name == '' or not ff.has_waited(execution) then return nil end
  local text = ff.fields_of_waits(execution.key .. SUFFIX.waits, WAITS.suspend_key .. name)[1]
  if not text then return nil end
  local known = { suspend_key = text }
  ff.read_waits_suspend_key(known)
  if ff.has_passed(call, known.key_expires_at) then return nil end
  if known.digest ~= digest then return ff.reject('idempotency_conflict') end
  local suspension = ff.suspension_of(execution)
  local is_over = not suspension or suspension.suspension_id ~= known.suspension_id
  if known.is_skipped ~= '' then
    is_over = is_over or execution.situation ~= SITUATION.running
  else
    is_over = is_over or suspension.is_closed
  end
  local kind = known.is_skipped ~= '' and KIND.already_satisfied or KIND.suspended
  return answer(call, kind, known.suspension_id, is_over, waitpoints_named(execution, known.waitpoint_ids), tokens)
end

-- The earlier answer to this same call, or nil; and whether the last suspension has the id.
local function earlier_answer(call, execution, fence, suspension_id, tokens)
  local situation = execution.situation
  local is_parked = ff.is_runnable(situation) and execution.next_attempt == NEXT.resume
  if situation ~= SITUATION.suspended and situation ~= SITUATION.running and not is_parked then return nil end
  if not ff.was_last_owner(execution, fence) then return nil end
  local suspension = ff.suspension_of(execution)
  if not suspension or suspension.suspension_id ~= suspension_id then return nil end
  local kind = KIND.suspended
  if situation ~= SITUATION.suspended then
    ff.read_waits_closing(suspension)
    -- A satisfied suspension left the owner at work.
    if suspension.kept_epoch == string.match(fence, '^%d+') then kind = KIND.already_satisfied
    elseif not is_parked then return nil, true end
  end
  return answer(call, kind, suspension_id, is_parked, ff.waitpoints_of(suspension), tokens)
end

-- New waitpoints, or the refusal.
local function bind_fresh(call, execution, kept, bindings, most, keeps)
  local waitpoints = {}
  for id, key in string.gmatch(bindings, '([^\t\n]+)\t([^\n]+)') do
    if ff.has_waited(execution) and ff.waitpoint_of(execution, id) then
      return nil, ff.reject('waitpoint_already_exists', 'waitpointId', id)
    end
    waitpoints[#waitpoints + 1] = {
      id = id, waitpoint_key = key, created_at = call.now_text, closed_at = '', close_reason = '', signal_count = '',
      matched_signal_count = '', last_signal_at = '', expires_at = '', activated_at = '', keeps_signals = keeps,
    }
  end
  if kept.count + #waitpoints > tonumber(most) then
    return nil, ff.reject('waitpoint_limit_exceeded', 'limit', 'execution')
  end
  return waitpoints
end

-- The existing unused waitpoint, or the refusal.
local function bind_pending(call, execution, id, condition, keeps)
  local waitpoint = ff.has_waited(execution) and ff.waitpoint_of(execution, id)
  if not waitpoint then return nil, ff.reject('waitpoint_not_found') end
  if waitpoint.waitpoint_state ~= WAITPOINT_STATE.pending then return nil, ff.reject('waitpoint_not_pending') end
  if ff.has_passed(call, waitpoint.expires_at) then return nil, ff.reject('pending_waitpoint_expired') end
  local fault = ff.fault_of_key(condition, waitpoint.waitpoint_key)
  if fault then return nil, ff.reject('invalid_input', 'field', 'resumeCondition', 'reason', fault) end
  waitpoint.activated_at, waitpoint.keeps_signals = call.now_text, keeps
  return { waitpoint }
end

-- The buffered signals of a waitpoint, in the order of their acceptance.
local function kept_signals(call, key, waitpoint)
  if waitpoint.signal_count == '' then return {} end
  local all, found = command('HGETALL', key), {}
  call.work = call.work + #all / LIMIT.waits_per_unit
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, #WAITS.signal) == WAITS.signal then
      local signal = { id = string.sub(all[i], #WAITS.signal + 1), signal = all[i + 1] }
      ff.read_waits_signal(signal)
      if signal.waitpoint_id == waitpoint.id then
        signal.score, signal.name, signal.waitpoint_key = ff.count(signal.place), signal.signal_name, waitpoint.waitpoint_key
        found[#found + 1] = signal
      end
    end
  end
  table.sort(found, ff.by_position)
  return found
end

-- Evaluates buffered signals for the condition, and records the result in `ask`.
local function fold(call, ask)
  local waitpoint, progress, lines, satisfiers, matched = ask.waitpoints[1], {}, {}, {}, 0
  local signals = kept_signals(call, ask.kept.key, waitpoint)
  local state = #signals > 0 and ff.condition_of(ask.condition, '')
  for i = 1, #signals do
    local signal = signals[i]
    local effect, added = ff.take_signal(state, signal)
    signal.effect = effect
    signal.text = ff.waits_signal_text(signal.waitpoint_id, signal.signal_name, signal.signal_category, signal.source_type,
      signal.source_identity, signal.signal_key, signal.signal_key_expires_at, effect, signal.accepted_at, signal.place,
      signal.correlation_id, signal.payload_bytes, signal.payload_encoding, signal.target_scope, signal.created_at,
      signal.ended_children)
    lines[i], ask.folded[i] = signal.id .. '\t' .. (effect == '' and LIMIT.first_effect or effect), signal
    if effect ~= WORDS.effect.no_op and effect ~= WORDS.effect.signal_ignored_matcher_failed then matched = matched + 1 end
    if added ~= '' then
      progress[#progress + 1], satisfiers[#satisfiers + 1] = added, signal.id
    end
    if effect == WORDS.effect.resume_condition_satisfied then
      ask.is_satisfied, ask.closer = true, signal.id
      break
    end
  end
  ask.progress, ask.folded_text = table.concat(progress, '\n'), table.concat(lines, '\n')
  ask.satisfiers = table.concat(satisfiers, ',')
  if matched > 0 then waitpoint.matched_signal_count = ff.digits(matched) end
end

-- Why a suspension cannot also wait for children, if so: one ended unseen, or there are too few.
local function children_refusal(call, execution_id, seen_children, awaited)
  local group = ff.group_of(call, execution_id)
  local ended = ff.count(group.ended_children)
  if ended > tonumber(seen_children) then return ff.reject('children_ended') end
  if ff.count(awaited) <= ended + ff.count(group.open_children) then return nil end
  return ff.reject('invalid_input', 'field', 'awaitedChildren', 'openChildren', ff.digits(ff.count(group.open_children)))
end

-- The lines of waitpoints in events.
local function lines_of(waitpoints)
  local lines = {}
  for i = 1, #waitpoints do lines[i] = waitpoints[i].id .. '\t' .. waitpoints[i].waitpoint_key end
  return table.concat(lines, '\n')
end

-- Until when the idempotency key of a suspension is known.
local function key_expiry(call, timeout_at)
  local wait_ms = LIMIT.max_suspend_key_ms
  if timeout_at ~= '' then wait_ms = math.min(wait_ms, math.max(tonumber(timeout_at) - call.now, 0) + LIMIT.suspend_key_after_ms) end
  return ff.digits(math.min(call.now + wait_ms, LIMIT.max_integer))
end

-- The timeout of a suspension and the letter of its effect: from the request, or by default from the policy of the
-- execution.
local function timeout_of(call, execution, timeout_at, behavior)
  local letter, rules = WORDS.behavior[behavior], timeout_at == '' and ff.rules(execution.rules)
  if not (rules and rules.wait_timeout_ms) then return timeout_at, letter or '' end
  return ff.digits(math.min(call.now + rules.wait_timeout_ms, LIMIT.max_integer)), letter or rules.wait_behavior or ''
end

function ff.decide.suspend_execution(call, execution_id, fence, attempt_index, suspension_id, waitpoints, condition, reason_code,
  requested_by, timeout_at, timeout_behavior, resume_policy, continuation_metadata_pointer, idempotency_key, tokens,
  max_waitpoints_per_execution, seen_signals, awaited_children, seen_children)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local reason = WORDS.reason[reason_code]
  local why = reason .. '\t' .. WORDS.requester[requested_by] .. '\t'
  local awaited = awaited_children == '0' and '' or awaited_children
  local how = '\t' .. resume_policy .. '\t' .. continuation_metadata_pointer .. '\t' .. awaited
  local digest = idempotency_key ~= ''
    and digest_of(why .. timeout_at .. '\t' .. timeout_behavior .. how, waitpoints, condition) or ''
  local known = known_answer(call, execution, idempotency_key, digest, tokens)
  if known then return known end
  local malformed = ff.fence_shape(fence, '', execution)
  if malformed then return malformed end
  local earlier, is_taken = earlier_answer(call, execution, fence, suspension_id, tokens)
  if earlier then return earlier end
  local refusal = ff.work_verdict(call, execution, fence, attempt_index)
  if refusal then return refusal end
  if seen_signals ~= '' and ff.kept_count(execution) > tonumber(seen_signals) then return ff.reject('signals_arrived') end
  refusal = seen_children ~= '' and children_refusal(call, execution_id, seen_children, awaited)
  if refusal then return refusal end
  local kept = ff.kept_of(execution)
  -- A suspension that timed out has left its id to a signal.
  if is_taken or ff.has_waits(execution) and ff.fields_of_waits(kept.key, WAITS.signal .. suspension_id)[1] then
    return ff.reject('idempotency_conflict', 'suspensionId', suspension_id)
  end
  local used, keeps = string.match(waitpoints, '^([^\t]+)\t$'), string.match(resume_policy, '^%d*\t(1?)')
  local bound
  if used then
    bound, refusal = bind_pending(call, execution, used, condition, keeps)
  else
    bound, refusal = bind_fresh(call, execution, kept, waitpoints, max_waitpoints_per_execution, keeps)
  end
  if refusal then return refusal end
  if tokens ~= '' and not ff.current_token(call, bound[1]) then return ff.reject('hmac_secret_not_initialized') end
  ff.timers_of(call)
  local index = ff.count(execution.total_attempt_count) - 1
  local over_at, behavior = timeout_of(call, execution, timeout_at, timeout_behavior)
  local ask = {
    kept = kept, waitpoints = bound, is_fresh = not used, condition = condition, timeout_at = over_at, reason = reason,
    suspension_id = suspension_id, suspend_key = idempotency_key, digest = digest, key_expires_at = key_expiry(call, over_at),
    remaining_ms = ff.remaining_at(call, execution), folded = {}, folded_text = '', progress = '', satisfiers = '',
    bindings = used and lines_of(bound) or waitpoints, is_satisfied = false,
    given = suspension_id .. '\t' .. (index == 0 and '' or ff.digits(index)) .. '\t' .. why .. over_at .. '\t' .. behavior .. how,
  }
  ask.said = string.gsub(ask.given, '\t+$', '')
  if used then fold(call, ask) end
  local kind = ask.is_satisfied and KIND.already_satisfied or KIND.suspended
  local reply = kind
  if used or tokens ~= '' then reply = answer(call, kind, suspension_id, false, bound, tokens) end
  return reply, ask.is_satisfied and ff.apply.suspension_skipped or ff.apply.execution_suspended, execution, ask
end
