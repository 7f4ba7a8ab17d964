-- deliver_approval_signal: see model/suspension/approve.ts

local ESCAPED = { ['%'] = '%25', [':'] = '%3A' }

-- The twin of `approvalKey`.
local function approval_key(signal_name, suffix)
  return 'approval:' .. string.gsub(signal_name, '[%%:]', ESCAPED) .. ':' .. suffix
end

function ff.decide.deliver_approval_signal(call, execution_id, waitpoint_id, signal_id, signal_name, idempotency_suffix,
  signal_dedup_ttl_ms, max_signals_per_execution, decided_by)
  local execution, waitpoint = ff.signal_target(call, execution_id, waitpoint_id)
  if not execution then return ff.reject('execution_not_found') end
  if not waitpoint then return ff.reject('waitpoint_not_found') end
  return ff.deliver(call, execution, waitpoint, {
    id = signal_id, waitpoint_id = waitpoint_id, name = signal_name, category = 'approval', source_type = 'operator',
    source_identity = decided_by, key = approval_key(signal_name, idempotency_suffix),
    key_ttl_ms = tonumber(signal_dedup_ttl_ms), max_signals = tonumber(max_signals_per_execution),
    resume_delay_ms = 0, payload = '', carried = '\t\t\t' .. WORDS.scope.execution .. '\t',
  })
end
