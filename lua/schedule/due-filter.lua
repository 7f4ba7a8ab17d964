-- Which due timers a pass handles: see model/schedule/due-filter.ts

local load = ff.loader('naming', 'tags')

-- Kinds whose step is alone in a pass, because it can change what else is due.
local ALONE = { flow = true, walk = true }

local function is_alone(member) return ALONE[string.match(member, '^[%a_]+')] end

-- Keeps the timers that a pass of a loop without a filter handles. Answers whether any are left for the next pass.
function ff.of_one_pass(due)
  for i = 1, #due do
    if is_alone(due[i]) then
      for j = #due, math.max(2, i), -1 do due[j] = nil end
      return true
    end
  end
  return false
end

-- A filter, and the position behind which the pass begins, as the client sent them joined by tabs.
local function wanted_by(filtered)
  local texts = {}
  for text in string.gmatch(filtered .. '\t', '([^\t]*)\t') do texts[#texts + 1] = text end
  local want = { namespace = texts[1], lane_id = texts[2], execution_kind = texts[3], tags = {}, namings = {} }
  for i = 4, #texts - 1 do want.tags[i - 3] = texts[i] end
  return want, texts[#texts]
end

local function differs(call, id, want)
  local execution = load(call, id)
  return execution and not (ff.is_named(execution.naming, want) and ff.has_tags(execution.tags, want.tags))
end

-- Whether the timer is of an execution that the filter passes over. An unreadable one is not: the pass sets it aside.
local function is_passed_over(call, member, want)
  local size = #TIMER.execution
  if string.sub(member, 1, size) ~= TIMER.execution then return false end
  local ran, answer = pcall(differs, call, string.sub(member, size + 1), want)
  if not ran then ff.contain(answer) end
  return ran and answer
end

-- The timers that a pass of a loop with a filter handles, of at most `limit` due ones. Answers also whether more may be
-- due, the position of the last timer that it passed over, or else the one behind which it began, and that position
-- before each timer that it handles.
function ff.filtered_due(call, filtered, limit)
  local want, after = wanted_by(filtered)
  local score, id = string.match(after, '^(%d+):(.*)$')
  local rank = score and ff.rank_behind(call.timers_key, tonumber(score), TIMER.execution .. id) or 0
  local entries, due, passed = command('ZRANGE', call.timers_key, rank, rank + limit - 1, 'WITHSCORES'), {}, {}
  for i = 1, #entries, 2 do
    local member = entries[i]
    if tonumber(entries[i + 1]) > call.now then return due, false, after, passed end
    if is_passed_over(call, member, want) then
      after = entries[i + 1] .. ':' .. string.sub(member, #TIMER.execution + 1)
    else
      local is_last = is_alone(member)
      if not is_last or #due == 0 then due[#due + 1], passed[#due + 1] = member, after end
      if is_last then return due, true, after, passed end
    end
  end
  return due, #entries == 2 * limit, after, passed
end
