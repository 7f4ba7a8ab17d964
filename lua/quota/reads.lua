-- Reads of quota policies; see model/quota/reads.ts

-- read_quota_policy_limits: quota policy id
-- Answers the pairs of its record, the number of slots, the number of admissions in the window and the time of the
-- first of them, and the number of waiting claimers; nothing when there is no policy.
function ff.query.read_quota_policy_limits(call, quota_policy_id)
  local policy = ff.quota_of(call, quota_policy_id)
  if not policy then return false end
  local first = command('ZRANGEBYSCORE', policy.window, '(' .. policy.bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return { command('HGETALL', policy.key), policy.held, policy.live, first or '', ff.count_waiters(call, policy) }
end
