/**
 * settleAdmissions: the quota policies of these admissions have freed their slots, so the outbox forgets them.
 * Admissions that are not in the outbox are skipped. Safe to repeat.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation } from '../operation.js';
import type { Event } from '../events.js';
import { shortIdOf } from '../short-id.js';
import { admissionIds } from './fields.js';

export const settleAdmissions = operation({
  name: 'settleAdmissions',
  args: z.strictObject({ partition: field.partitionKey, admissionIds }),
  outcome: z.discriminatedUnion('kind', [z.object({ kind: z.literal('settled'), settled: field.count })]),
  rejects: [],
  partition: (args) => args.partition,
  wire: { shared: [], each: ['admissionIds'] },
  units: ({ admissionIds }) => admissionIds.length,
  memory: 'frees',
  decide(view, args, { now }) {
    const events = args.admissionIds
      .map((id) => shortIdOf(id))
      .filter((id) => view.metering.admission(id)?.admissionState === 'returned')
      .map((admissionId): Event => ({ type: 'admission_settled', admissionId, at: now }));
    return acceptAll({ kind: 'settled', settled: events.length }, events);
  },
});
