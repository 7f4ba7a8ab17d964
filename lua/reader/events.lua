-- The readers of a partition are one hash: the position of each, and its time. The twin of model/reader/entity.ts.

-- The generation and sequence of a place; nil if it is unreadable.
local function read_place(text)
  local generation, sequence = string.match(text, '^(%w*)\t(%d+)\t%d+\t%d+$')
  return generation, tonumber(sequence)
end

function ff.place_of_reader(reader_id, text)
  local generation, sequence = read_place(text)
  if not generation then ff.damaged('the place of reader ' .. reader_id .. ' is unreadable: forget the reader') end
  return generation, sequence
end

-- A reader before all entries fits any log.
function ff.knows_log(call, generation)
  return generation == '' or generation == call.generation
end

-- The position up to which no reader needs the log, or nil. A reader whose place is unreadable cannot continue, so it
-- holds nothing back.
local function trim_floor(call, places)
  local floor
  for i = 1, #places do
    local generation, sequence = read_place(places[i])
    if generation and ff.knows_log(call, generation) and (not floor or sequence < floor) then floor = sequence end
  end
  return floor
end

-- The positions of all readers but one.
function ff.readers_beside(call, reader_id)
  local pairs_of_all = command('HGETALL', call.base .. KEY.readers)
  local places, own = {}, nil
  for i = 1, #pairs_of_all, 2 do
    if pairs_of_all[i] == reader_id then
      own = pairs_of_all[i + 1]
    else
      places[#places + 1] = pairs_of_all[i + 1]
    end
  end
  return places, own
end

function ff.apply.reader_committed(call, reader_id, position, places)
  local place = position .. '\t' .. call.now_text
  command('HSET', call.base .. KEY.readers, reader_id, place)
  ff.append(call, EVENT.reader_committed, reader_id, position, '')
  places[#places + 1] = place
  ff.hold_back(call, trim_floor(call, places))
end

function ff.apply.reader_forgotten(call, reader_id, places)
  command('HDEL', call.base .. KEY.readers, reader_id)
  ff.append(call, EVENT.reader_forgotten, reader_id)
  ff.hold_back(call, trim_floor(call, places))
end
