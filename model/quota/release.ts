/**
 * releaseAdmission: frees the slots of these admissions, and wakes as many waiting claimers as now fit. Admissions
 * without a slot are skipped, so the call is safe to repeat. An admission that no claim used does not count for the
 * rate either. Spec 09 section 5.3.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, reject } from '../operation.js';
import { partitionOfId } from '../families.js';
import { admissionIds } from '../metering/fields.js';
import { shortIdOf } from '../short-id.js';
import type { ReadonlyQuotaPolicy } from './facts.js';
import { quotaPolicyId } from './fields.js';
import { fitting, slotsOf, windowOf } from './room.js';

export const releaseAdmission = operation({
  name: 'releaseAdmission',
  family: 'quota',
  args: z.strictObject({
    quotaPolicyId,
    admissionIds,
    /** Admissions that no claim used or will use. */
    unused: z.boolean().default(false),
  }),
  outcome: z.discriminatedUnion('kind', [z.object({ kind: z.literal('released'), released: field.count })]),
  rejects: ['quota_policy_not_found'],
  partition: (args, counts) => partitionOfId('quota', args.quotaPolicyId, counts),
  wire: { shared: [], each: ['quotaPolicyId', 'admissionIds', 'unused'] },
  units: ({ admissionIds }) => admissionIds.length,
  memory: 'frees',
  decide(view, args, { now }) {
    const { quotaPolicyId, unused } = args;
    const policy = view.quotas.policy(quotaPolicyId);
    if (policy === undefined) return reject('quota_policy_not_found', { quotaPolicyId });
    const slots = slotsOf(policy);
    const admissions = args.admissionIds.map((id) => shortIdOf(id)).filter((id) => slots[id] !== undefined);
    if (admissions.length === 0) return accept({ kind: 'released', released: 0 });
    const woken = fitting(without(policy, admissions, unused), now).join('\n');
    return accept(
      { kind: 'released', released: admissions.length },
      { type: 'quota_released', quotaPolicyId, at: now, unused, admissions, woken },
    );
  },
});

/** The policy after the release. */
function without(policy: ReadonlyQuotaPolicy, ids: readonly string[], unused: boolean): ReadonlyQuotaPolicy {
  const keep = <Value>(record: Record<string, Value>): Record<string, Value> =>
    Object.fromEntries(Object.entries(record).filter(([id]) => !ids.includes(id)));
  return { ...policy, slots: keep(slotsOf(policy)), window: unused ? keep(windowOf(policy)) : windowOf(policy) };
}
