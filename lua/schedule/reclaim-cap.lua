-- How often an execution may lose its owner: see model/schedule/reclaim-cap.ts

-- Whether a lapsed execution has been reclaimed as often as allowed: by its policy, or by `or_cap`. `lapses` counts it
-- as lapsed. Needs retries and rules.
function ff.exceeds_reclaim_cap(execution, or_cap, lapses)
  if not (lapses or ff.is_reclaimable(execution.situation)) then return false end
  ff.read_retries(execution)
  local cap = ff.rules(execution.rules).max_reclaim_count or or_cap or LIMIT.default_max_reclaim_count
  return ff.count(execution.lease_reclaim_count) >= cap
end
