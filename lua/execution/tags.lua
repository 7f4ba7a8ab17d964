-- set_execution_tags: see model/execution/tags.ts
--
-- Tags are stored as the client wrote them, a flat JSON object of texts in key order. Merging takes the texts of values
-- as they are: what is written here is what the client would have written.

local load = ff.loader('tags', 'edits')

local function json_of(keys, values)
  local parts = {}
  for i = 1, #keys do parts[i] = '"' .. keys[i] .. '":' .. values[keys[i]] end
  return '{' .. table.concat(parts, ',') .. '}'
end

function ff.decide.set_execution_tags(call, execution_id, tags)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local keys, values = ff.tags_of(execution.tags)
  local given, news = ff.tags_of(tags)
  local changes = false
  for i = 1, #given do
    local key = given[i]
    if not values[key] then keys[#keys + 1] = key end
    if values[key] ~= news[key] then changes, values[key] = true, news[key] end
  end
  if #keys > LIMIT.max_tags then return ff.reject('too_many_tags', 'maxTags', ff.digits(LIMIT.max_tags)) end
  local reply = { KIND.tags_set, #given }
  if not changes then return reply end
  ff.sort(keys)
  return reply, ff.apply.tags_set, execution, json_of(keys, values), tags
end
