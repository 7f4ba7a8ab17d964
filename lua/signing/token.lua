-- Tokens of waitpoints; the twin of model/signing/token.ts. A digest is HMAC-SHA1, built from the server's SHA-1
-- function. For each key the secret is stored with each of the two paddings, so that a digest takes two hashes.

local BLOCK_BYTES = 64

local function byte_of(pair)
  return string.char(tonumber(pair, 16))
end

local function bytes_of(hex)
  return (string.gsub(hex, '..', byte_of))
end

local function padded(secret, padding)
  local block = {}
  for i = 1, BLOCK_BYTES do block[i] = string.char(bit.bxor(string.byte(secret, i) or 0, padding)) end
  return table.concat(block)
end

-- The two blocks of a secret.
function ff.key_blocks(secret)
  if #secret > BLOCK_BYTES then secret = bytes_of(server.sha1hex(secret)) end
  return padded(secret, 0x36), padded(secret, 0x5c)
end

-- The digest of a message under a key; nil when there is no such key.
function ff.digest(call, kid, message)
  local blocks = command('HMGET', call.base .. SIGNING_KEY.key .. kid, SIGNING.inner, SIGNING.outer)
  if not (blocks[1] and blocks[2]) then return nil end
  return server.sha1hex(blocks[2] .. bytes_of(server.sha1hex(blocks[1] .. message)))
end

-- The message that a waitpoint's token signs.
function ff.token_message(waitpoint)
  return waitpoint.id .. '|' .. waitpoint.waitpoint_key .. '|' .. waitpoint.created_at
end

-- Whether two digests are equal, in a time that does not depend on where they differ.
function ff.is_same_digest(a, b)
  if #a ~= #b then return false end
  local difference = 0
  for i = 1, #a do difference = bit.bor(difference, bit.bxor(string.byte(a, i), string.byte(b, i))) end
  return difference == 0
end

-- Every key and until when it is valid, empty for the current one; and the current one.
function ff.known_kids(call)
  local pairs_of = command('HGETALL', call.base .. KEY.kids)
  local kids, current = {}, nil
  for i = 1, #pairs_of, 2 do
    kids[pairs_of[i]] = pairs_of[i + 1]
    if pairs_of[i + 1] == '' then current = pairs_of[i] end
  end
  return kids, current
end

-- Parses a token; answers why it is invalid for any waitpoint, if so, then the key and the digest.
function ff.token_fault(call, token)
  if token == '' then return 'missing_token' end
  local at = string.find(token, ':', 1, true)
  if not at or at == 1 then return 'invalid_token' end
  local kid, digest = string.sub(token, 1, at - 1), string.sub(token, at + 1)
  if #digest ~= 40 then return 'invalid_token' end
  local kids, current = ff.known_kids(call)
  if not current then return 'hmac_secret_not_initialized' end
  local expires_at = kids[kid]
  if not expires_at then return 'invalid_token' end
  local valid_until = tonumber(expires_at) or expires_at ~= '' and ff.damaged('the index of signing keys is unreadable')
  if valid_until and valid_until < call.now then return 'token_expired' end
  return nil, kid, digest
end

-- The token of a waitpoint under the current key; nil while there is none.
function ff.current_token(call, waitpoint)
  local _, current = ff.known_kids(call)
  local digest = current and ff.digest(call, current, ff.token_message(waitpoint))
  return digest and current .. ':' .. digest or nil
end
