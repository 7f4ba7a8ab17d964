-- The effects of events on signing keys; the twins of model/signing/entity.ts. No log entry contains a secret.

local function key_of(call, kid)
  return call.base .. SIGNING_KEY.key .. kid
end

function ff.apply.signing_key_installed(call, new)
  local identity = new.fingerprint .. '\t'
  command('HSET', key_of(call, new.kid), SIGNING_KEY.identity, identity .. '\t' .. call.now_text, SIGNING_KEY.expiry, '',
    SIGNING.inner, new.inner, SIGNING.outer, new.outer)
  command('HSET', call.base .. KEY.kids, new.kid, '')
  ff.append(call, EVENT.signing_key_installed, new.kid, identity, '')
end

function ff.apply.signing_key_retired(call, kid, expires_at)
  command('HSET', key_of(call, kid), SIGNING_KEY.expiry, expires_at)
  command('HSET', call.base .. KEY.kids, kid, expires_at)
  ff.append(call, EVENT.signing_key_retired, kid, expires_at, '')
end

function ff.apply.signing_key_dropped(call, kid)
  command('UNLINK', key_of(call, kid))
  command('HDEL', call.base .. KEY.kids, kid)
  ff.append(call, EVENT.signing_key_dropped, kid)
end
