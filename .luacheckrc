-- Valkey runs the library in a Lua 5.1 sandbox with these tables added.
std = 'lua51'
read_globals = { 'server', 'F', 'D', 'X', 'K', 'C', 'L' }
-- All files are one chunk: `lua/library.ts` puts a header before them that declares the table they share, and `store`,
-- which calls a command of the server.
globals = { 'ff', 'store' }
max_line_length = 140
