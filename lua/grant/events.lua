-- The effects of grant events. The twins of model/grant/recipes.ts.

-- `grant` is the stored facet. The further arguments are texts of the log.
function ff.apply.grant_issued(call, execution, grant, grant_expires_at, capability_hash, route_snapshot_json, admission_summary)
  local key = execution.key
  if ff.is_queued(execution) then ff.dequeue(call, execution) end
  ff.note_extra(execution, FIELD.grant)
  execution.grant, execution.grant_expires_at = grant, grant_expires_at
  command('HSET', key, FIELD.life, ff.same_life(execution), FIELD.grant, ff.fit(key, FIELD.grant, grant))
  ff.set_timer(call, execution)
  if capability_hash == '' and route_snapshot_json == '' and admission_summary == '' then
    ff.append(call, EVENT.grant_issued, execution.id, grant, '')
  else
    ff.append(call, EVENT.grant_issued, execution.id, grant, capability_hash, route_snapshot_json, admission_summary)
  end
end

-- The execution returns to its queue.
function ff.apply.grant_lapsed(call, execution)
  ff.end_grant(execution)
  command('HSET', execution.key, FIELD.life, ff.same_life(execution))
  ff.enqueue(execution)
  ff.set_timer(call, execution)
  ff.append(call, EVENT.grant_lapsed, execution.id)
end
