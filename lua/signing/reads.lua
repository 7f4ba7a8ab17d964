-- list_kids. Answers every key whose tokens are valid now: its id, the text of its identity, and until when it is
-- valid, empty for the current one. The index of keys says so; when it is unreadable, the record does.
function ff.query.list_kids(call)
  local kids, answer = ff.known_kids(call), {}
  for kid, expires_at in pairs(kids) do
    local texts = guarded('HMGET', call.base .. SIGNING_KEY.key .. kid, SIGNING_KEY.identity, SIGNING_KEY.expiry)
    local until_when = (expires_at == '' or tonumber(expires_at)) and expires_at or texts[2] or '?'
    local at = tonumber(until_when)
    if not at or at >= call.now then answer[#answer + 1] = { kid, texts[1] or '', until_when } end
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
