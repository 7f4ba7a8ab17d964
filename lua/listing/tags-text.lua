-- Tags as they are stored: a flat JSON object of texts in key order, as the client wrote it.

-- Where the text that begins at a place ends: at a quotation mark that no backslash stands before.
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
