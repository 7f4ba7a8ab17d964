/** What time does to admissions: those that were returned are offered until they are settled, void ones are forgotten. */
import type { Event } from '../events.js';
import type { DueContext } from '../schedule/due.js';
import type { Admission } from './entity.js';
import { meterSetOf } from './meters.js';

export function dueOfAdmission({ admissionId, admissionState }: Readonly<Admission>, { now }: DueContext): Event[] {
  const type = admissionState === 'returned' ? 'admission_offered' : 'admission_forgotten';
  return [{ type, admissionId, at: now }];
}

/** The meters that are to be told that a returned admission is free: a meter set. */
export function owedOfAdmission({ admissionState, meters }: Readonly<Admission>): string[] {
  return admissionState === 'returned' ? [meterSetOf(meters)] : [];
}
