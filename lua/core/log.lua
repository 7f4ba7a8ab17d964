-- The log of the partition: one entry per event, written in the same call as the state it explains.
-- Entries are numbered 0-1, 0-2, ... without a gap; trimming is approximate, whole nodes at a time.

local XADD_HEAD = 7

-- Appends an event. `facts` is a list of name/value pairs; pairs whose value is nil are left out.
function ff.append(call, event_type, execution_id, facts, count)
  local entry = {
    'XADD', call.log_key, 'MAXLEN', '~', call.log_max_entries, '0-*', 'type', event_type,
    'execution_id', execution_id, 'at', call.now,
  }
  local size = XADD_HEAD + 5
  for i = 1, count, 2 do
    local value = facts[i + 1]
    if value ~= nil then
      entry[size + 1] = facts[i]
      entry[size + 2] = value
      size = size + 2
    end
  end
  server.call(unpack(entry, 1, size))
end
