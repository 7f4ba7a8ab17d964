/** Due work of admissions: offering returned ones until they are settled, forgetting void ones. */
import type { Event } from '../events.js';
import type { DueContext } from '../schedule/due.js';
import type { Admission } from './entity.js';
import { meterSetOf } from './meters.js';

export function dueOfAdmission({ admissionId, admissionState }: Readonly<Admission>, { now }: DueContext): Event[] {
  const type = admissionState === 'returned' ? 'admission_offered' : 'admission_forgotten';
  return [{ type, admissionId, at: now }];
}

/** The meter set to tell that a returned admission is free. */
export function owedOfAdmission({ admissionState, meters }: Readonly<Admission>): string[] {
  return admissionState === 'returned' ? [meterSetOf(meters)] : [];
}
