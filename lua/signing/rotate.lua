-- rotate_waitpoint_hmac_secret: see model/signing/rotate.ts

local load = ff.record('signing_key', 'identity')

-- Applies a rotation: the new key, then the key that it replaces, then the dropped keys. A rotation while the index of
-- keys was lost has left several to replace.
local function rotate(call, new, kids, expires_at, dropped)
  ff.apply.signing_key_installed(call, new)
  for kid, until_when in pairs(kids) do
    if until_when == '' and kid ~= new.kid then ff.apply.signing_key_retired(call, kid, expires_at) end
  end
  for i = 1, #dropped do ff.apply.signing_key_dropped(call, dropped[i]) end
end

-- Keys whose grace period is over, in order.
local function lapsed(call, kids, new_kid)
  local found = {}
  for kid, expires_at in pairs(kids) do
    if kid ~= new_kid and (tonumber(expires_at) or call.now) < call.now then found[#found + 1] = kid end
  end
  ff.sort(found)
  return found
end

function ff.decide.rotate_waitpoint_hmac_secret(call, new_kid, new_secret_at, new_secret, grace_ms, only_first)
  if new_secret_at ~= LIMIT.bytes_here then ff.damaged('the secret did not come with the call') end
  local fingerprint = string.sub(server.sha1hex(new_secret), 1, SIGNING.fingerprint_length)
  local known = load(call, new_kid)
  if known then
    ff.read_signing_key_identity(known)
    if known.fingerprint ~= fingerprint then return ff.reject('rotation_conflict', 'kid', new_kid) end
  end
  local kids, current = ff.known_kids(call)
  if current and (only_first ~= '' or current == new_kid) then return { KIND.noop, current } end
  local dropped = lapsed(call, kids, new_kid)
  local inner, outer = ff.key_blocks(new_secret)
  local expires_at = ff.digits(math.min(call.now + tonumber(grace_ms), LIMIT.max_integer))
  return { KIND.rotated, new_kid, current or '', #dropped }, rotate,
    { kid = new_kid, fingerprint = fingerprint, inner = inner, outer = outer }, kids, expires_at, dropped
end
