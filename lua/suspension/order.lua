-- Suspended executions in the order of their timeouts. As with shelves (lua/listing/shelves.lua), no decision depends
-- on the list: its key is not checked before a write, and `verify_partition` rebuilds it.

local load = ff.loader('naming')

-- The score of an execution that is suspended until a time, a text; the largest integer when that is empty.
function ff.place_of_suspended(due_at)
  return due_at == '' and ff.digits(LIMIT.max_integer) or due_at
end

-- Updates the list when the situation of an execution, or the timeout of its suspension, changes.
function ff.reorder_suspended(call, id, before, after, due_at)
  if after == SITUATION.suspended then
    guarded('ZADD', call.base .. KEY.suspended, ff.place_of_suspended(due_at), id)
  elseif before == SITUATION.suspended then
    guarded('ZREM', call.base .. KEY.suspended, id)
  end
end

-- The execution with the text of its suspension, if it matches.
local function wanted_of(call, id, reason, namespace, lane_id)
  local execution = load(call, id)
  if not execution or execution.situation ~= SITUATION.suspended then return nil end
  local own_namespace, own_lane_id = ff.split_naming(execution.naming)
  if namespace ~= '' and namespace ~= own_namespace or lane_id ~= '' and lane_id ~= own_lane_id then return nil end
  local text = ff.fields_of_waits(execution.key .. SUFFIX.waits, WAITS.suspension)[1]
  if not text then return nil end
  local suspension = { suspension = text }
  ff.read_waits_suspension(suspension)
  if reason ~= '' and reason ~= '=' .. suspension.reason_code then return nil end
  execution.suspension = text
  return execution
end

local function add_row(rows, id, execution)
  local size = #rows
  rows[size + 1], rows[size + 2], rows[size + 3] = id, execution.naming, execution.suspension
end

-- list_suspended: score and id of the position after which the page starts (both empty at the start), limit, reason
-- (`=` and its letter, or empty), namespace, lane_id.
-- Answers the score and the id of the position after which the list continues, or nothing, and rows: id, naming, the
-- text of the suspension.
function ff.query.list_suspended(call, score, before, limit_text, reason, namespace, lane_id)
  local source = { key = call.base .. KEY.suspended, from = 0, to = math.huge, offset = 0, prefix = '' }
  local function wanted(id) return wanted_of(call, id, reason, namespace, lane_id) end
  return ff.page(ff.walk({ source }, tonumber(score), before), limit_text, wanted, add_row)
end
