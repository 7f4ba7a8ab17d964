-- commit_reader: see model/reader/commit.ts

-- Whether the entry at a position has another time than the reader saw, as far as the position and the log can tell:
-- the time can be unknown, and the entry trimmed.
local function is_of_other_time(call, sequence, time)
  if time == '0' then return false end
  local entry = command('XRANGE', call.log_key, sequence, sequence)[1]
  return entry ~= nil and entry[1] ~= sequence .. '-' .. time
end

function ff.decide.commit_reader(call, reader_id, position)
  local generation, sequence_text, time = string.match(position, '^(%w*)%.(%d+)%.(%d+)$')
  local sequence = tonumber(sequence_text)
  local is_beginning = generation == '' and sequence == 0
  if (generation ~= call.generation and not is_beginning) or sequence > call.sequence then
    return ff.reject('cursor_lost')
  end
  if sequence > 0 and is_of_other_time(call, sequence_text, time) then return ff.reject('cursor_lost') end
  local places, own = ff.readers_beside(call, reader_id)
  if not own and #places >= LIMIT.max_readers then
    return ff.reject('too_many_readers', 'maxReaders', ff.digits(LIMIT.max_readers))
  end
  if own then
    local own_generation, own_sequence = ff.place_of_reader(reader_id, own)
    if ff.knows_log(call, own_generation) and own_sequence >= sequence then return KIND.unchanged end
  end
  return KIND.committed, ff.apply.reader_committed, reader_id,
    generation .. '\t' .. sequence_text .. '\t' .. time, places
end
