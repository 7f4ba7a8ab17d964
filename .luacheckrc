-- Valkey runs the library in a Lua 5.1 sandbox with `server` added.
std = 'lua51'
read_globals = {
  'server', 'bit',
  -- Tables of the model's literals, for which the linker puts the values (`literalsOf` in `lua/library.ts`).
  'ADMISSION_STATE', 'ANSWER', 'QUOTA_POLICY', 'QUOTA_SUFFIX', 'STEP', 'WORKER',
  'ATTEMPT', 'BUCKET', 'CANCELLATION', 'CANCELLATION_LETTER', 'CHANNEL', 'CLAIM', 'CLAIM_ROW', 'CLOSED', 'EDGE_STATE', 'EVENT', 'FIELD', 'FLOW',
  'FLOW_STATE', 'GROUP_POLICY', 'GROUP_POLICY_LETTER', 'GROUP_STATE', 'HEADER', 'KEY', 'KIND', 'LANE', 'LANE_STATE', 'LIBRARY',
  'LIMIT', 'NEXT', 'ON_SATISFIED', 'SITUATION', 'STREAM', 'STREAM_SUFFIX', 'SUFFIX', 'TIMER', 'TRIGGER', 'WAITPOINT_STATE', 'WAITS', 'WALK', 'WALK_KIND', 'SIGNING', 'SIGNING_KEY',
  'BUDGET', 'RESERVATION', 'RESERVATION_STATE', 'LEDGER', 'BILL', 'HARD_LIMIT', 'WHEN_FULL',
  -- Tables that are looked up while a call runs (`lookUps` there).
  'BLOCK', 'CANCELLATION_WORD', 'CLOSED_WORD', 'EXPIRE_REASON', 'FIELD_NAMED', 'LIVE', 'PHASE', 'PUBLIC_STATE', 'SHAPE', 'RECORD_OF', 'SHELVED', 'SIGNATURE', 'TERMINAL_OUTCOME',
  'WORDS',
}
-- All files are one chunk: the linker puts a header before them that declares the table they share, and `command` and
-- `guarded`, which call a command of the server: one raises its error, the other answers one that is about the key;
-- `attempted` answers every error.
globals = { 'ff', 'command', 'guarded', 'attempted' }
max_line_length = 140
