-- How long a flow is kept; the twin of model/flow/retention.ts.

-- A member joins. `retention_ms` is nil if it has none of its own.
function ff.keep_with(flow, retention_ms, kept_until, is_first)
  flow.has_new_keeping = true
  if kept_until ~= '' and tonumber(kept_until) > ff.count(flow.kept_until) then flow.kept_until = kept_until end
  if is_first then flow.has_own_retention = '1' end
  if not retention_ms then
    flow.has_own_retention = ''
  elseif retention_ms == LIMIT.keep_for_good then
    flow.has_member_for_good = '1'
  elseif retention_ms > ff.count(flow.longest_retention_ms) then
    flow.longest_retention_ms = ff.digits(retention_ms)
  end
end

-- An existing execution joins. Answers what the log says of it. Needs bounds and rules loaded.
function ff.keep_with_existing(flow, execution, is_first)
  local retention_ms, kept_until = ff.rules(execution.rules).retention_ms, ''
  if execution.bounds ~= '' then
    ff.read_bounds(execution)
    kept_until = execution.idempotency_expires_at
  end
  ff.keep_with(flow, retention_ms, kept_until, is_first)
  local text = ''
  if retention_ms then text = retention_ms == LIMIT.keep_for_good and '-1' or ff.digits(retention_ms) end
  return text .. '\t' .. kept_until
end

local NOTHING = '\t\t\t'

-- The facet `keeping` if it has changed, else nil.
function ff.new_keeping_of(flow)
  if not flow.has_new_keeping then return nil end
  flow.has_new_keeping = false
  local text = ff.flow_keeping_text(flow.has_own_retention, flow.has_member_for_good, flow.longest_retention_ms, flow.kept_until)
  if text == flow.keeping or text == NOTHING and flow.keeping == '' then return nil end
  flow.keeping = text
  return text
end

-- When the members of a flow that finishes now are purged; empty if they are kept for good.
function ff.purge_time_of_flow(call, flow)
  if flow.has_member_for_good ~= '' then return '' end
  local retention_ms = ff.count(flow.longest_retention_ms)
  if flow.has_own_retention == '' then
    local default_ms = call.settings.retention_ms
    if default_ms == LIMIT.keep_for_good then return '' end
    retention_ms = math.max(retention_ms, default_ms)
  end
  return ff.purge_time(call, retention_ms, ff.count(flow.kept_until))
end
