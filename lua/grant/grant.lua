-- A grant: one worker may take one execution; the twin of model/grant/grant.ts. Its facet, and the worker of a call,
-- are texts: `<last ms>\t<grant>\t<worker>\t<instance>\t<1 when it is strict>`.

-- Whether an execution has a grant that can still be used. Needs grant loaded.
function ff.has_live_grant(call, execution)
  if not ff.is_granted(execution) then return false end
  ff.read_grant(execution)
  return ff.count(execution.grant_expires_at) >= call.now
end

-- Whether the live grant is for the same worker and instance.
function ff.is_of_same(execution, worker)
  return execution.grant_worker_id .. '\t' .. execution.grant_worker_instance_id == string.match(worker, '^[^\t]*\t[^\t]*')
end

local function claim_letter(execution)
  if ff.is_reclaimable(execution.situation) then return CLAIM.reclaimed end
  return execution.next_attempt == NEXT.resume and CLAIM.resumed or CLAIM.fresh
end

-- The answer that tells a worker of its grant.
function ff.granted(execution, grant_id, expires_at)
  local _, lane_id = ff.split_naming(execution.naming)
  return { KIND.granted, grant_id, claim_letter(execution), lane_id, expires_at }
end

-- Whether the caller named another lane.
function ff.is_other_lane(execution, lane_id)
  if lane_id == '' then return false end
  local _, lane = ff.split_naming(execution.naming)
  return lane ~= lane_id
end

-- What a worker lacks for an execution: missing capabilities, joined by commas, and the kind if it cannot run that; nil
-- when it can run it. Needs naming and needs loaded.
function ff.mismatch(execution, capabilities, kinds)
  local missing = {}
  local offered = ff.tokens_of(capabilities, '[^,]+')
  for token in string.gmatch(ff.capabilities_of(execution.needs), '[^,]+') do
    if not offered[token] then missing[#missing + 1] = token end
  end
  local lacks = table.concat(missing, ',')
  if kinds ~= '' then
    local _, _, execution_kind = ff.split_naming(execution.naming)
    if not ff.tokens_of(kinds, '[^\t]+')[execution_kind] then return lacks, execution_kind end
  end
  return lacks ~= '' and lacks or nil
end
