-- The rules of a policy, as `policyRules` in model/execution/policy-text.ts writes them: six words or more, then "|"
-- and the retryable categories. A newer build can add words to the known ones. After another "|" can follow words that
-- are only stored.

local WORDS = {
  'max_retries', 'backoff', 'delay_ms', 'max_delay_ms', 'multiplier', 'jitter', 'attempt_timeout_ms', 'max_reclaim_count',
  'max_release_count', 'retention_ms', 'deadline_ms', 'dedup_window_ms', 'priority', 'delay_until',
  'max_replay_count', 'stream_maxlen', 'stream_max_bytes', 'max_signals', 'wait_timeout_ms', 'wait_behavior',
}
local IS_WORD = { backoff = true, wait_behavior = true }
local FIRST_WORDS = 6
local NEVER_RETRIED = { permanent = true, cancelled = true }
local NO_RULES = {}

-- Executions of a call mostly have the same rules.
local last_text, last_rules

-- The rules as a table that must not be changed; words that the policy leaves open are nil.
function ff.rules(text)
  if text == '' then return NO_RULES end
  if text == last_text then return last_rules end
  local words, categories = string.match(text, '^([^|]*)|([^|]*)')
  if not words then ff.damaged('the rules are unreadable') end
  local rules = { categories = categories }
  local i = 0
  for word in string.gmatch(words, '%S+') do
    i = i + 1
    local name, number = WORDS[i], tonumber(word)
    -- Words behind those that are known are from a newer build.
    if name and word ~= '-' then
      if not number and not IS_WORD[name] then ff.damaged('the rules are unreadable') end
      rules[name] = number or word
    end
  end
  if i < FIRST_WORDS then ff.damaged('the rules are too short') end
  last_text, last_rules = text, rules
  return rules
end

local function lists(categories, category)
  for one in string.gmatch(categories, '[^,]+') do
    if one == category then return true end
  end
  return false
end

-- Whether the rules allow another retry.
local function may_retry(rules, retry_count, failure)
  if not rules.max_retries or retry_count >= rules.max_retries then return false end
  if NEVER_RETRIED[failure.class] or NEVER_RETRIED[failure.category] then return false end
  return rules.categories == '' or lists(rules.categories, failure.category)
end

-- Delay before the next retry. The power is a loop, so that it gives the same double as the model.
local function backoff_delay(rules, retry_count, jitter)
  if rules.backoff == 'fixed' then return rules.delay_ms end
  local delay = rules.delay_ms
  local i = 0
  while i < retry_count and delay < rules.max_delay_ms do
    delay = delay * rules.multiplier
    i = i + 1
  end
  delay = math.min(delay, rules.max_delay_ms)
  if rules.jitter == 1 then delay = delay * (0.5 + 0.5 * jitter) end
  return math.floor(delay)
end

-- Time of the next retry after a failure {class, category, jitter, retry_after_ms, rules}, or nil when none is left.
-- Needs rules and retries loaded; `rules`, if given, replace those of the execution.
function ff.next_try_at(call, execution, failure)
  local rules = ff.rules(failure.rules or execution.rules)
  if not rules.max_retries then return nil end
  ff.read_retries(execution)
  local retry_count = ff.count(execution.retry_count)
  if not may_retry(rules, retry_count, failure) then return nil end
  local delay = failure.retry_after_ms or backoff_delay(rules, retry_count, failure.jitter or 1)
  return math.min(call.now + delay, LIMIT.max_integer)
end
