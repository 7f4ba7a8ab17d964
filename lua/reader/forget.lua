-- forget_reader: see model/reader/forget.ts

function ff.decide.forget_reader(call, reader_id)
  local places, own = ff.readers_beside(call, reader_id)
  if not own then return KIND.unknown end
  return KIND.forgotten, ff.apply.reader_forgotten, reader_id, places
end
