-- check_admission: see model/quota/check.ts

-- How many of the first admissions have slots or fit, which of them need one, and what refuses the next one.
local function admissible(policy, ids)
  local rate, cap = ff.quota_room(policy)
  local holders = ff.holders_of(policy, ids)
  local fresh, added = {}, 0
  for i = 1, #ids do
    local id = ids[i]
    if not holders[i] then
      local at = policy.max_requests > 0 and tonumber(command('ZSCORE', policy.window, id) or '')
      -- An admission that is in the window already is not counted twice.
      local counts = at and at > tonumber(policy.bound)
      if not counts and policy.max_requests > 0 and added >= rate then return i - 1, fresh, 'rate' end
      if #fresh >= cap then return i - 1, fresh, 'cap' end
      if not counts then added = added + 1 end
      fresh[#fresh + 1] = id
    end
  end
  return #ids, fresh
end

-- Creates the policy if it is new, gives slots to the admissions that need one, brings forward checks that are too late,
-- and adds a waiting claimer, if any.
local function carry_out(call, policy, is_new, holder, fresh, misdated, waiter, over)
  if is_new then ff.apply.quota_policy_created(call, policy) end
  if #fresh > 0 then ff.apply.quota_admitted(call, policy, holder, fresh) end
  if misdated and #misdated > 0 then ff.apply.quota_slots_checked(call, policy, misdated) end
  if waiter then ff.apply.quota_refused(call, policy, waiter, over) end
end

function ff.decide.check_admission(call, quota_policy_id, admission_ids, partition, limits, lane_id, worker_instance_id, meters,
  waiter_ttl_ms, jitter)
  local policy, is_new = ff.quota_of(call, quota_policy_id), false
  if not policy then
    if limits == '' then return ff.reject('quota_policy_not_found', 'quotaPolicyId', quota_policy_id) end
    policy, is_new = ff.new_quota(call, quota_policy_id, limits), true
  end
  local ids = ff.listed(admission_ids)
  local count, fresh, limit = admissible(policy, ids)
  if count > 0 then return { KIND.admitted, ff.digits(count) }, carry_out, policy, is_new, partition, fresh end
  local misdated = limit == 'cap' and ff.misdated_slots(call, policy) or nil
  local waiter, over
  if lane_id ~= '' and meters ~= '' and worker_instance_id ~= '' then
    local name = lane_id .. '\t' .. partition .. '\t' .. meters .. '\t' .. worker_instance_id
    if ff.may_wait(call, policy, name) then
      waiter = { name = name, wanted = ff.digits(#ids), expires_at = ff.digits(call.now + tonumber(waiter_ttl_ms)) }
      over = select(2, ff.fitting(call, policy, 0))
    end
  end
  local reply = { KIND.concurrency_exceeded }
  if limit == 'rate' then
    local jitter_ms = math.floor(policy.jitter_ms * (tonumber(jitter) or 0))
    reply = { KIND.rate_exceeded, ff.digits(ff.rate_retry_ms(call, policy) + jitter_ms) }
  end
  return reply, carry_out, policy, is_new, partition, fresh, misdated, waiter, over
end
