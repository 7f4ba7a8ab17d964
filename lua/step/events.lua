-- The steps of an execution: a hash beside its record (lua/layout.ts), which exists once it has one. The twins of
-- model/step/recipes.ts and contents.ts.

-- Whether an execution has recorded steps.
function ff.has_steps(execution)
  return execution.extras ~= '' and string.find(execution.extras, FIELD.steps, 1, true) ~= nil
end

-- The place of a step that was recorded, or nil. The last of the steps is looked for too: what is lost is missed.
function ff.place_of_step(key, id, count)
  local values = server.pcall('HMGET', key, STEP.key .. id, ff.digits(count - 1))
  if values.err or not values[2] then ff.damaged('the steps are missing') end
  return values[1]
end

-- What is said of a step beside its value and the time.
function ff.steps_given_text(name, index, kind, failed, bytes, encoding)
  return name .. '\t' .. index .. '\t' .. kind .. '\t' .. failed .. '\t' .. bytes .. '\t' .. encoding
end

function ff.apply.step_recorded(call, execution, key, id, text, value, count, bytes)
  local place = ff.digits(count)
  local change = { key, STEP.key .. id, place, place, text .. '\t' .. call.now_text }
  -- What has an encoding has a value.
  if string.sub(text, -1) ~= '\t' then change[6], change[7] = STEP.value .. place, value end
  if count == 0 then
    -- Nothing of ours is there yet.
    command('UNLINK', key)
    ff.note_extra(execution, FIELD.steps)
    command('HSET', execution.key, FIELD.life, ff.same_life(execution), FIELD.steps, ff.steps_text('1', ff.digits(bytes)))
  else
    command('HSET', execution.key, FIELD.steps, ff.steps_text(ff.digits(count + 1), ff.digits(bytes)))
  end
  command('HSET', unpack(change))
  ff.append(call, EVENT.step_recorded, execution.id, text, '')
end

-- Drops every step. The caller writes `life`.
function ff.discard_steps(execution)
  command('UNLINK', execution.key .. SUFFIX.steps)
  ff.drop_extra(execution, FIELD.steps)
  command('HDEL', execution.key, FIELD.steps)
end
