-- create_quota_policy: see model/quota/create.ts

local function stored(number) return number == '0' and '' or number end

-- The facet of the limits, without its time: nothing for 0, and no window without a rate.
local function limits_text(window_seconds, max_requests_per_window, max_concurrent, jitter_ms, slot_ttl_ms)
  local window_ms = max_requests_per_window ~= '0' and ff.digits(tonumber(window_seconds) * 1000) or ''
  return table.concat({ window_ms, stored(max_requests_per_window), stored(max_concurrent), stored(jitter_ms),
    slot_ttl_ms, '' }, '\t')
end

function ff.decide.create_quota_policy(call, quota_policy_id, window_seconds, max_requests_per_window, max_concurrent,
  jitter_ms, slot_ttl_ms)
  local limits = limits_text(window_seconds, max_requests_per_window, max_concurrent, jitter_ms, slot_ttl_ms)
  local known = ff.quota_of(call, quota_policy_id)
  if known then
    local same = string.match(known.limits, '^(.*)\t[^\t]*$') == limits
    return { KIND.already_satisfied, same and 'already_exists' or 'definition_differs' }
  end
  return { KIND.created }, ff.apply.quota_policy_created, ff.new_quota(call, quota_policy_id, limits)
end
