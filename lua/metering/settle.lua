-- settle_admissions: see model/metering/settle.ts

local function settle(call, ids)
  for i = 1, #ids do ff.apply.admission_settled(call, ids[i]) end
end

function ff.decide.settle_admissions(call, admission_ids)
  local returned = {}
  for id in string.gmatch(admission_ids, '[^,]+') do
    local admission = ff.admission_of(call, id)
    if admission and admission.state == ADMISSION_STATE.returned then returned[#returned + 1] = id end
  end
  ff.timers_of(call)
  return { KIND.settled, ff.digits(#returned) }, settle, returned
end
