-- void_admission: see model/metering/void.ts

local load = ff.loader('fence')

-- Whether a lease owns an execution; assumed for an unreadable one.
local function is_owned_by(call, id, lease_id)
  local ran, execution = pcall(load, call, id)
  if not ran then
    ff.contain(execution)
    return true
  end
  return execution and execution.situation == SITUATION.running and ff.lease_of(execution.fence) == lease_id
end

function ff.decide.void_admission(call, admission_id)
  local admission = ff.admission_of(call, admission_id)
  local state = admission and admission.state
  if state == ADMISSION_STATE.void then return { KIND.voided } end
  if state == ADMISSION_STATE.returned then return { KIND.returned } end
  if state and is_owned_by(call, admission.owner, admission_id) then return { KIND.in_use, admission.owner } end
  ff.timers_of(call)
  return { KIND.voided }, ff.apply.admission_voided, admission_id
end
