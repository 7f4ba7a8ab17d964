-- list_kids. Answers every key whose tokens are valid now: its id, and the texts of its identity and its expiry.
function ff.query.list_kids(call)
  local kids, answer = ff.known_kids(call), {}
  for kid, expires_at in pairs(kids) do
    if expires_at == '' or tonumber(expires_at) >= call.now then
      local texts = command('HMGET', call.base .. SIGNING_KEY.key .. kid, SIGNING_KEY.identity, SIGNING_KEY.expiry)
      answer[#answer + 1] = { kid, texts[1] or '', texts[2] or '' }
    end
  end
  return answer
end

-- read_token: execution_id, waitpoint_id. Answers the state of the waitpoint, then the current key and the digest, if
-- they exist.
function ff.query.read_token(call, execution_id, waitpoint_id)
  local waitpoint = ff.waitpoint_of({ key = call.base .. execution_id }, waitpoint_id)
  if not waitpoint then return {} end
  local _, current = ff.known_kids(call)
  local text = waitpoint.waitpoint
  if not current then return { text } end
  return { text, current, ff.digest(call, current, ff.token_message(waitpoint)) or '' }
end
