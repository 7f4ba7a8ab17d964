-- Scans of hashes over several calls. A cursor of the server holds for one process of it: after a restart or a failover,
-- the entries are in another order, and a scan that went on would miss some.

-- When this process scanned first, which its cursors tell.
local begun = false

-- A step of a scan: the next cursor, `0` at the end, and pairs; or the error of the server. With the cursor of another
-- process it begins anew.
function ff.try_scan(call, key, cursor, count)
  begun = begun or call.now_text
  local of, at = string.match(cursor, '^(%d+)%.(%d+)$')
  local found = guarded('HSCAN', key, of == begun and at or '0', 'COUNT', count)
  if not found.err and found[1] ~= '0' then found[1] = begun .. '.' .. found[1] end
  return found
end

-- The same; raises the error.
function ff.scan(call, key, cursor, count)
  local found = ff.try_scan(call, key, cursor, count)
  if found.err then error(found) end
  return found
end
