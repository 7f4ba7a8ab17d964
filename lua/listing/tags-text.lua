-- Tags as they are stored: a flat JSON object of texts in key order, as the client wrote it.

-- The index of the quotation mark that ends the text at an index: one without a backslash before it.
local function end_of_text(json, from)
  local at = from + 1
  while true do
    local place = string.find(json, '["\\]', at)
    if not place then ff.damaged('tags are unreadable') end
    if string.sub(json, place, place) == '"' then return place end
    at = place + 2
  end
end

-- The tags of a JSON text: their keys in order, and the texts of the values by key, quotation marks included.
function ff.tags_of(json)
  local keys, values, at = {}, {}, 2
  if json == '' then return keys, values end
  while true do
    local _, last, key = string.find(json, '^"([%l%d_.]+)":', at)
    if not last then ff.damaged('tags are unreadable') end
    local stop = end_of_text(json, last + 1)
    keys[#keys + 1], values[key] = key, string.sub(json, last + 1, stop)
    if string.sub(json, stop + 1, stop + 1) ~= ',' then return keys, values end
    at = stop + 2
  end
end

local NONE = { text = '', shelves = {} }

-- Executions of a call mostly have the same tags.
local last_json, last_settings, last_indexed

-- The tags of a JSON text that the deployment has indexed: `text` is these as JSON, empty without any, and `shelves`
-- the set of their shelves. An unreadable text has none: its own read reports it.
function ff.indexed_tags(call, json)
  local settings = call.settings
  if json == '' or not settings.indexed_tags then return NONE end
  if json == last_json and settings == last_settings then return last_indexed end
  local ran, keys, values = pcall(ff.tags_of, json)
  if not ran then return NONE end
  local members, shelves = {}, {}
  for i = 1, #keys do
    local key = keys[i]
    if settings.indexed_tags[key] then
      members[#members + 1] = '"' .. key .. '":' .. values[key]
      shelves[ff.tag_shelf(key, values[key])] = true
    end
  end
  local text = #members > 0 and '{' .. table.concat(members, ',') .. '}' or ''
  last_json, last_settings, last_indexed = json, settings, { text = text, shelves = shelves }
  return last_indexed
end

-- The indexed tags of an execution, for the log. Read only here, because few executions have tags and the record is in
-- hand.
function ff.filter_tags(call, execution)
  if not call.settings.indexed_tags or not string.find(execution.extras, FIELD.tags, 1, true) then return '' end
  local json = command('HGET', execution.key, FIELD.tags)
  if json == LIMIT.spilled then json = guarded('HGET', execution.key .. SUFFIX.details, FIELD.tags) end
  return type(json) == 'string' and ff.indexed_tags(call, json).text or ''
end

-- Appends an event whose last text is the tags by which readers can filter. The further arguments are the texts before
-- them, `count` of them; an empty one is added if `count` is odd.
function ff.append_filtered(call, event, execution, count, ...)
  local tags = ff.filter_tags(call, execution)
  if tags == '' then return ff.append(call, event, execution.id, ...) end
  local texts = { ... }
  texts[count + 1] = tags
  if #texts % 2 == 1 then texts[#texts + 1] = '' end
  ff.append(call, event, execution.id, unpack(texts))
end
