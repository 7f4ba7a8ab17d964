-- settle_admissions: see model/metering/settle.ts

function ff.decide.settle_admissions(call, admission_ids)
  local returned = ff.returned_among(call, ff.listed(admission_ids))
  if #returned == 0 then return { KIND.settled, '0' } end
  ff.timers_of(call)
  return { KIND.settled, ff.digits(#returned) }, ff.apply.admission_settled, returned
end
