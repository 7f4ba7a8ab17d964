-- deliver_signal: see model/suspension/signal.ts

-- The refusals of a token.
local function refused(fault)
  if fault == 'missing_token' then return ff.reject('missing_token') end
  if fault == 'hmac_secret_not_initialized' then return ff.reject('hmac_secret_not_initialized') end
  if fault == 'token_expired' then return ff.reject('token_expired') end
  return ff.reject('invalid_token')
end

-- The stored optional parts of a signal; empty without any.
function ff.carried_of(correlation_id, payload, payload_encoding, target_scope, created_at)
  local size, encoding = '', ''
  if payload ~= '' then size, encoding = ff.digits(#payload), payload_encoding end
  local text = correlation_id .. '\t' .. size .. '\t' .. encoding .. '\t' .. WORDS.scope[target_scope] .. '\t' .. created_at
  return text == '\t\t\t\t' and '' or text
end

function ff.decide.deliver_signal(call, execution_id, waitpoint_id, waitpoint_token, signal_id, signal_name, signal_category,
  source_type, source_identity, idempotency_key, dedup_ttl_ms, max_signals_per_execution, resume_delay_ms, correlation_id, created_at,
  target_scope, payload_encoding, payload)
  local fault, kid, digest = ff.token_fault(call, waitpoint_token)
  if fault then return refused(fault) end
  local execution, waitpoint = ff.signal_target(call, execution_id, waitpoint_id)
  local expected = waitpoint and ff.digest(call, kid, ff.token_message(waitpoint))
  if not (expected and ff.is_same_digest(digest, expected)) then return refused('invalid_token') end
  return ff.deliver(call, execution, waitpoint, {
    id = signal_id, waitpoint_id = waitpoint_id, name = signal_name, category = signal_category, source_type = source_type,
    source_identity = source_identity, key = idempotency_key, key_ttl_ms = tonumber(dedup_ttl_ms),
    max_signals = tonumber(max_signals_per_execution), resume_delay_ms = tonumber(resume_delay_ms), payload = payload,
    carried = ff.carried_of(correlation_id, payload, payload_encoding, target_scope, created_at),
  })
end
