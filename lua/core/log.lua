-- The log of the partition: one entry per event, written in the same call as the state it explains.
-- Entries are numbered 0-1, 0-2, ... without a gap; trimming is approximate, whole nodes at a time.

-- Appends an event. What follows are its facts, each a name and a value; an absent fact is not named.
function ff.append(call, event_type, execution_id, ...)
  local max_entries = call.log_max_entries
  if not max_entries then
    store('XADD', call.log_key, '0-*', 'type', event_type, 'execution_id', execution_id, 'at', call.now, ...)
    return
  end
  -- To trim once per call is enough: a call appends far fewer entries than a log may have.
  call.log_max_entries = nil
  store('XADD', call.log_key, 'MAXLEN', '~', max_entries, '0-*', 'type', event_type, 'execution_id', execution_id,
    'at', call.now, ...)
end

-- The pairs of a list of which some values are absent, as arguments. The list has `count` places.
function ff.present(list, count)
  local size = 0
  for i = 1, count, 2 do
    if list[i + 1] ~= nil then
      list[size + 1], list[size + 2] = list[i], list[i + 1]
      size = size + 2
    end
  end
  return unpack(list, 1, size)
end
