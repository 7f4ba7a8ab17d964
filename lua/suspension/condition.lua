-- Resume conditions of suspended executions; the twin of model/suspension/condition.ts. A condition is a line for each
-- node, parents first: its type, the position of its parent, the number of required satisfiers, a name, and keys.
-- Progress is a line for each satisfier of a node.

-- Node types that are not composite. Signals never satisfy those in `NEVER`.
local IS_SINGLE = { s = true, o = true, t = true }
local NEVER = { o = true, t = true }

local function damaged()
  ff.damaged('the condition is unreadable')
end

-- The nodes as a table; each key of a node is surrounded by tabs.
local function parse(condition)
  local nodes, size = {}, 0
  for line in string.gmatch(condition, '[^\n]+') do
    local kind, parent, n, name, keys = string.match(line, '^(%a)\t(%d+)\t(%d+)\t([^\t]*)(.*)$')
    size = size + 1
    nodes[size] = { kind = kind or damaged(), parent = tonumber(parent), n = tonumber(n), name = name, keys = keys .. '\t', count = 0 }
  end
  if size == 0 then damaged() end
  return nodes
end

local function satisfier_of(kind, signal)
  if kind == 'w' then return signal.waitpoint_id end
  if kind == 'g' then return signal.id end
  if kind == 'r' then return signal.source_type .. '\t' .. signal.source_identity end
  return ''
end

-- Whether the root is satisfied. Nodes are evaluated last to first, so members come before their parents.
local function is_satisfied(nodes)
  for i = 1, #nodes do nodes[i].sum = nodes[i].count end
  for i = #nodes, 2, -1 do
    local node = nodes[i]
    if node.sum >= node.n and not NEVER[node.kind] then
      local parent = nodes[node.parent] or damaged()
      parent.sum = parent.sum + 1
    end
  end
  local whole = nodes[1]
  return not NEVER[whole.kind] and whole.sum >= whole.n
end

-- The evaluation of a condition: `ff.take_signal` gives it one signal after another, until it is satisfied.
function ff.condition_of(condition, progress)
  local nodes, known = parse(condition), {}
  for line in string.gmatch(progress, '[^\n]+') do
    known[line] = true
    local place = tonumber(string.match(line, '^(%d+)\t')) or damaged()
    local node = nodes[place] or damaged()
    node.count = node.count + 1
  end
  return { nodes = nodes, known = known }
end

-- Evaluates one more signal for a condition that is not satisfied yet: its effect, and the lines that it adds. A signal
-- has id, name, source_type, source_identity, waitpoint_id and waitpoint_key.
function ff.take_signal(state, signal)
  local nodes, known = state.nodes, state.known
  local added, is_taken = {}, false
  local key = '\t' .. signal.waitpoint_key .. '\t'
  for i = 1, #nodes do
    local node = nodes[i]
    if string.find(node.keys, key, 1, true) and (node.name == '' or node.name == signal.name) then
      is_taken = true
      local line = i .. '\t' .. satisfier_of(node.kind, signal)
      if not known[line] then
        added[#added + 1] = line
        known[line] = true
        node.count = node.count + 1
      end
    end
  end
  if not is_taken then
    local is_composite = #nodes > 1 or not IS_SINGLE[nodes[1].kind]
    return is_composite and WORDS.effect.signal_ignored_matcher_failed or WORDS.effect.no_op, ''
  end
  if #added == 0 then return WORDS.effect.appended_to_waitpoint_duplicate, '' end
  local lines = table.concat(added, '\n')
  return is_satisfied(nodes) and WORDS.effect.resume_condition_satisfied or WORDS.effect.appended_to_waitpoint, lines
end

-- The fault of a condition that names another key than that of the only waitpoint; nil when there is none.
function ff.fault_of_key(condition, waitpoint_key)
  local nodes = parse(condition)
  for i = 1, #nodes do
    -- A key can be empty; a tab is behind the last one.
    for key in string.gmatch(string.sub(nodes[i].keys, 1, -2), '\t([^\t]*)') do
      if key ~= waitpoint_key then
        if nodes[1].kind == 's' then return 'waitpoint_key_mismatch' end
        return 'referenced_waitpoint_key_missing_binding: ' .. key
      end
    end
  end
  return nil
end
