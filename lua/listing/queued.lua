-- list_queued: see model/listing/queued.ts

-- Score and id of the position after which the page starts (both empty at the start), limit, lane_id, namespace,
-- execution_kind, and a text for each tag.
-- Answers the score and the id of the position after which the list continues, or nothing, and rows like those of
-- `list_execution_summaries`.
function ff.query.list_queued(call, score, before, limit_text, lane_id, namespace, execution_kind, ...)
  local want = {
    namespace = namespace, lane_id = lane_id, execution_kind = execution_kind, letters = SITUATION.ready, held = '',
    category = '', cancelled_by = '', worker = '', tags = { ... }, namings = {}, is_of_some = namespace ~= '',
  }
  local names, sources = ff.queue_names(call, lane_id), {}
  for i = 1, #names do
    if execution_kind == '' or string.match(names[i], '[^\t]*$') == execution_kind then
      local key = call.base .. KEY.queue .. lane_id .. '\t' .. names[i]
      sources[#sources + 1] = { key = key, from = tonumber(LIMIT.first_waiting_score), to = math.huge, offset = 0, prefix = '' }
    end
  end
  local function wanted(id) return ff.wanted_row(call, id, want) end
  return ff.page(ff.walk(sources, tonumber(score), before), limit_text, wanted, ff.add_row)
end
