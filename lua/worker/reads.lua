-- Reads of workers; see model/worker/reads.ts

local load = ff.record('worker', 'identity', 'offer', 'beat')

-- Adds the row of a live worker.
local function add_row(call, rows, id)
  local worker = load(call, id)
  if not worker then return end
  ff.read_worker_identity(worker)
  ff.read_worker_beat(worker)
  if call.now >= ff.expiry_of_worker(worker) then return end
  rows[#rows + 1] = { id, worker.identity, worker.offer, worker.beat }
end

-- list_workers: an instance id or nothing, limit. Answers rows of live workers: the id, and the texts of the facets.
-- Then the id after which more may follow, or nothing.
function ff.query.list_workers(call, after, limit)
  local from = after == '' and '-' or '(' .. after
  limit = tonumber(limit)
  local ids = command('ZRANGEBYLEX', call.base .. KEY.workers, from, '+', 'LIMIT', 0, limit + 1)
  local rows = {}
  for i = 1, math.min(#ids, limit) do
    local ran, why = pcall(add_row, call, rows, ids[i])
    if not ran then ff.contain(why) end
  end
  return { rows, #ids > limit and ids[limit] or '' }
end
