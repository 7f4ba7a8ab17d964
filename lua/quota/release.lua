-- release_admission: see model/quota/release.ts

-- How much room there is after these are released.
local function room_without(policy, ids, unused)
  local rate, cap = ff.quota_room(policy)
  if unused ~= '' and policy.max_requests > 0 then
    for i = 1, #ids do
      local at = tonumber(command('ZSCORE', policy.window, ids[i]) or '')
      if at and at > tonumber(policy.bound) then rate = rate + 1 end
    end
  end
  return math.min(rate, cap + #ids)
end

function ff.decide.release_admission(call, quota_policy_id, admission_ids, unused)
  local policy = ff.quota_of(call, quota_policy_id)
  if not policy then return ff.reject('quota_policy_not_found', 'quotaPolicyId', quota_policy_id) end
  local ids, held = ff.listed(admission_ids), {}
  local holders = ff.holders_of(policy, ids)
  for i = 1, #ids do
    if holders[i] then held[#held + 1] = ids[i] end
  end
  if #held == 0 then return { KIND.released, '0' } end
  local woken, over = ff.fitting(call, policy, room_without(policy, held, unused))
  return { KIND.released, ff.digits(#held) }, ff.apply.quota_released, policy, held, unused, woken, over
end
