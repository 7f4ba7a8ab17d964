-- set_execution_tags: see model/execution/tags.ts
--
-- Tags are stored as the client wrote them, a flat JSON object of texts in key order. Merging copies the texts of
-- values, so the result is what the client would have written.

local load = ff.loader('naming', 'tags', 'edits')

local function json_of(keys, values)
  local parts = {}
  for i = 1, #keys do parts[i] = '"' .. keys[i] .. '":' .. values[keys[i]] end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- Tags with others merged over them: the number of given tags, whether they change anything, and the result; nil when
-- there are too many.
function ff.merged_tags(stored, tags)
  local keys, values = ff.tags_of(stored)
  local given, news = ff.tags_of(tags)
  local changes = false
  for i = 1, #given do
    local key = given[i]
    if not values[key] then keys[#keys + 1] = key end
    if values[key] ~= news[key] then changes, values[key] = true, news[key] end
  end
  if #keys > LIMIT.max_tags then return nil end
  if changes then ff.sort(keys) end
  return #given, changes, changes and json_of(keys, values)
end

function ff.too_many_tags()
  return ff.reject('too_many_tags', 'maxTags', ff.digits(LIMIT.max_tags))
end

function ff.decide.set_execution_tags(call, execution_id, tags)
  local execution = load(call, execution_id)
  if not execution then return ff.reject('execution_not_found') end
  local count, changes, merged = ff.merged_tags(execution.tags, tags)
  if not count then return ff.too_many_tags() end
  if not changes then return { KIND.ok, count } end
  return { KIND.ok, count }, ff.apply.tags_set, execution, merged, tags
end
