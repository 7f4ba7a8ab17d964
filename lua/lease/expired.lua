-- list_expired_leases: see model/lease/expired.ts
--
-- Recorded lapses are in queues, in a band before all other work; unrecorded ones have a timer that is due.

local load = ff.loader('naming', 'fence', 'worker')

-- The execution of an entry if its lease is lost: one with a timer and an entry in a queue is listed once, by the
-- queue.
local function lost_of(call, id, as_of, namespace, is_unnoticed)
  local execution = load(call, id)
  if not execution or not ff.is_active(execution.situation) or ff.is_held(execution) then return nil end
  if ff.is_reclaimable(execution.situation) == is_unnoticed then return nil end
  if is_unnoticed and tonumber(execution.due_at) > as_of then return nil end
  if namespace ~= '' and ff.split_naming(execution.naming) ~= namespace then return nil end
  return execution
end

local function add_row(rows, id, execution, at)
  local size = #rows
  rows[size + 1], rows[size + 2], rows[size + 3] = id, ff.digits(at), execution.naming
  rows[size + 4], rows[size + 5], rows[size + 6] = execution.situation, execution.due_at, execution.total_attempt_count
  rows[size + 7], rows[size + 8] = execution.fence, execution.worker
end

local function sources_of(call, as_of)
  local sources = {
    { key = call.timers_key, from = 0, to = as_of, offset = 0, prefix = TIMER.execution, is_unnoticed = true },
  }
  local lanes = ff.lanes(call)
  for i = 1, #lanes do
    local names = ff.queue_names(call, lanes[i])
    for j = 1, #names do
      sources[#sources + 1] = {
        key = call.base .. KEY.queue .. lanes[i] .. '\t' .. names[j],
        from = LIMIT.reclaim_band, to = LIMIT.reclaim_band + as_of, offset = LIMIT.reclaim_band, prefix = '',
        is_unnoticed = false,
      }
    end
  end
  return sources
end

-- Score and id of the position after which the page starts (both empty at the start), limit, as_of (or empty),
-- namespace.
-- Answers the score and the id of the position after which the list continues, or nothing, and rows: id, time of the
-- loss, naming, situation, end of the lease, attempts, fence, worker.
function ff.query.list_expired_leases(call, score, before, limit_text, as_of_text, namespace)
  local as_of = math.min(tonumber(as_of_text) or call.now, call.now)
  local function wanted(id, source) return lost_of(call, id, as_of, namespace, source.is_unnoticed) end
  return ff.page(ff.walk(sources_of(call, as_of), tonumber(score), before), limit_text, wanted, add_row)
end
