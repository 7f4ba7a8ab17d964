-- Valkey runs the library in a Lua 5.1 sandbox with `server` added.
std = 'lua51'
read_globals = {
  'server', 'bit',
  -- Tables of the model's literals, for which the linker puts the values (`literalsOf` in `lua/library.ts`).
  'ADMISSION_STATE', 'QUOTA_POLICY', 'QUOTA_SUFFIX',
  'ATTEMPT', 'CHANNEL', 'CLAIM', 'CLAIM_ROW', 'CLOSED', 'EVENT', 'FIELD', 'HEADER', 'KEY', 'KIND', 'LANE', 'LANE_STATE', 'LIBRARY',
  'LIMIT', 'NEXT', 'SITUATION', 'STEP', 'STREAM', 'STREAM_SUFFIX', 'SUFFIX', 'TIMER', 'TRIGGER', 'WAITPOINT_STATE', 'WAITS', 'SIGNING', 'SIGNING_KEY', 'WORKER',
  -- Tables that are looked up while a call runs (`lookUps` there).
  'BLOCK', 'CLOSED_WORD', 'EXPIRE_REASON', 'FIELD_NAMED', 'PHASE', 'PUBLIC_STATE', 'SHAPE', 'SHELVED', 'SIGNATURE', 'TERMINAL_OUTCOME',
  'WORDS',
}
-- All files are one chunk: the linker puts a header before them that declares the table they share, and `command`, which
-- calls a command of the server.
globals = { 'ff', 'command' }
max_line_length = 140
