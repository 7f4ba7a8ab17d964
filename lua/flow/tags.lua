-- set_flow_tags: see model/flow/tags.ts

local load_tags = ff.record('flow', 'tags')

function ff.apply.flow_tags_set(call, flow, merged, tags)
  flow.last_mutation_at = call.now_text
  command('HSET', flow.key, FLOW.tags, ff.fit(flow.key, FLOW.tags, merged))
  ff.write_flow(call, flow)
  ff.append(call, EVENT.flow_tags_set, flow.id, tags, '')
end

function ff.decide.set_flow_tags(call, flow_id, tags)
  local flow = ff.load_flow(call, flow_id)
  if not flow then return ff.reject('flow_not_found') end
  local count, changes, merged = ff.merged_tags(load_tags(call, flow_id).tags, tags)
  if not count then return ff.too_many_tags() end
  if not changes then return { KIND.ok, count } end
  return { KIND.ok, count }, ff.apply.flow_tags_set, flow, merged, tags
end
