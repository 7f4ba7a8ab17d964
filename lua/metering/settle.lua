-- settle_admissions: see model/metering/settle.ts

function ff.decide.settle_admissions(call, admission_ids)
  local ids, returned = ff.listed(admission_ids), {}
  local known = ff.admissions_of(call, ids)
  for i = 1, #ids do
    if known[i] and known[i].state == ADMISSION_STATE.returned then returned[#returned + 1] = ids[i] end
  end
  if #returned == 0 then return { KIND.settled, '0' } end
  ff.timers_of(call)
  return { KIND.settled, ff.digits(#returned) }, ff.apply.admission_settled, returned
end
