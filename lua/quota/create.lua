-- create_quota_policy: see model/quota/create.ts

function ff.decide.create_quota_policy(call, quota_policy_id, limits)
  local known = ff.quota_of(call, quota_policy_id)
  if known then
    local same = string.match(known.limits, '^(.*)\t[^\t]*$') == limits
    return { KIND.already_satisfied, same and 'already_exists' or 'definition_differs' }
  end
  return { KIND.created }, ff.apply.quota_policy_created, ff.new_quota(call, quota_policy_id, limits)
end
