-- Valkey runs the library in a Lua 5.1 sandbox with these tables added.
std = 'lua51'
read_globals = {
  'server', 'redis', 'cjson', 'cmsgpack', 'bit', 'struct',
}
max_line_length = 160
-- The library is loaded as one chunk, so a file may use what another defines
-- at its top level.
allow_defined_top = true
