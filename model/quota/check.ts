/**
 * checkAdmission: admits as many of these admissions as fit, in their order, and takes a slot for each. An admission
 * that has a slot keeps it. A refused claimer that asks to wait is remembered, and woken when there is room; no more
 * are woken than fit. Spec 09 section 5.2, ruling 19. A refusal for want of a slot brings forward the checks of slots
 * that were taken before the clock stepped back. The policy's own limits apply; the first call that names a policy
 * for a key brings the limits to create it with.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation, reject } from '../operation.js';
import type { Event } from '../events.js';
import { partitionOfId } from '../families.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { admissionIds } from '../metering/fields.js';
import { meterSet } from '../metering/meters.js';
import { shortIdOf } from '../short-id.js';
import type { ReadonlyQuotaPolicy } from './facts.js';
import { keyedLimits, limitsOf, quotaPolicyId } from './fields.js';
import { inWindow, misdatedOf, rateRetryMs, roomOf, slotsOf, waitersOf } from './room.js';

const args = z.strictObject({
  quotaPolicyId,
  /** Minted by the caller: the lease ids of the claims that will follow. */
  admissionIds,
  /** The partition of those claims. */
  partition: field.partitionKey,
  /** Limits with which the policy is created if it does not exist. */
  limits: keyedLimits.optional(),
  /** Present: the claimer waits if none fits, and is told when there is room. */
  laneId: field.laneId.optional(),
  workerInstanceId: field.workerInstanceId.optional(),
  meters: meterSet.optional(),
  waiterTtlMs: field.integer(1, LIMITS.maxWaiterTtlMs).default(DEFAULTS.waiterTtlMs),
  jitter: field.unitFactor.optional(),
});
type CheckArgs = z.output<typeof args>;

/** The waiting claimer as the policy stores it; undefined when a part of its description is missing. */
function waiterOf({ laneId, partition, meters, workerInstanceId }: CheckArgs): string | undefined {
  if (laneId === undefined || meters === undefined || workerInstanceId === undefined) return undefined;
  return `${laneId}\t${partition}\t${meters}\t${workerInstanceId}`;
}

export const checkAdmission = operation({
  name: 'checkAdmission',
  family: 'quota',
  args,
  outcome: z.discriminatedUnion('kind', [
    /** How many of the admissions, from the first on, have slots. */
    z.object({ kind: z.literal('admitted'), count: field.count }),
    /** The rate is used up; after this time there is room again, ms. */
    z.object({ kind: z.literal('rate_exceeded'), retryAfterMs: field.durationMs }),
    /** Every slot is taken. */
    z.object({ kind: z.literal('concurrency_exceeded') }),
  ]),
  rejects: ['quota_policy_not_found'],
  partition: (args, counts) => partitionOfId('quota', args.quotaPolicyId, counts),
  units: ({ admissionIds }) => admissionIds.length,
  wire: {
    shared: [],
    each: [
      'quotaPolicyId',
      'admissionIds',
      'partition',
      'limits',
      'laneId',
      'workerInstanceId',
      'meters',
      'waiterTtlMs',
      'jitter',
    ],
  },
  // Stored work cannot be claimed without it. What it adds is bounded by the policy, and leaves again.
  memory: 'frees',
  // A policy that it makes needs the family, also when nothing else has used it yet.
  needs: ({ limits }) => (limits === undefined ? undefined : 'quota'),
  edge: { jitter: 'unit' },
  decide(view, args, { now }) {
    const { quotaPolicyId, limits, partition } = args;
    const known = view.quotas.policy(quotaPolicyId);
    if (known === undefined && limits === undefined) return reject('quota_policy_not_found', { quotaPolicyId });
    const made = limits === undefined ? undefined : limitsOf(limits, true);
    const policy = known ?? ({ ...made, createdAt: now, lastUsedAt: now } as ReadonlyQuotaPolicy);
    const events: Event[] =
      known !== undefined || made === undefined
        ? []
        : [{ type: 'quota_policy_created', quotaPolicyId, at: now, ...made }];
    const ids = args.admissionIds.map((id) => shortIdOf(id));
    const { count, fresh, limit } = admissible(policy, ids, now);
    if (fresh.length > 0) {
      events.push({ type: 'quota_admitted', quotaPolicyId, at: now, holder: partition, admissions: fresh });
    }
    if (count > 0) return acceptAll({ kind: 'admitted', count }, events);
    const misdated = limit === 'cap' ? misdatedOf(policy, now) : [];
    if (misdated.length > 0) {
      events.push({ type: 'quota_slots_checked', quotaPolicyId, at: now, admissions: misdated });
    }
    const waiter = waiterOf(args);
    if (waiter !== undefined && mayWait(policy, waiter, now)) {
      const expiresAt = now + args.waiterTtlMs;
      events.push({ type: 'quota_refused', quotaPolicyId, at: now, wanted: ids.length, expiresAt, waiter });
    }
    if (limit === 'cap') return acceptAll({ kind: 'concurrency_exceeded' }, events);
    const jitterMs = Math.floor(policy.jitterMs * (args.jitter ?? 0));
    return acceptAll({ kind: 'rate_exceeded', retryAfterMs: rateRetryMs(policy, now) + jitterMs }, events);
  },
});

/** How many of the first admissions have or get a slot, which of them are new, and what refuses the next one. */
function admissible(
  policy: ReadonlyQuotaPolicy,
  ids: readonly string[],
  now: number,
): { readonly count: number; readonly fresh: readonly string[]; readonly limit: 'rate' | 'cap' | undefined } {
  const slots = slotsOf(policy);
  const { rate, cap } = roomOf(policy, now);
  // An admission that counts already does not compete with itself.
  const counted = new Set(inWindow(policy, now).map(([id]) => id));
  const fresh: string[] = [];
  let added = 0;
  for (const [count, id] of ids.entries()) {
    if (slots[id] !== undefined) continue;
    if (!counted.has(id) && policy.maxRequests > 0 && added >= rate) return { count, fresh, limit: 'rate' };
    if (fresh.length >= cap) return { count, fresh, limit: 'cap' };
    if (!counted.has(id)) added += 1;
    fresh.push(id);
  }
  return { count: ids.length, fresh, limit: undefined };
}

/** A policy remembers a bounded number of claimers; any others ask again by themselves. */
function mayWait(policy: ReadonlyQuotaPolicy, waiter: string, now: number): boolean {
  const live = Object.entries(waitersOf(policy)).filter(([name, { expiresAt }]) => name !== waiter && expiresAt > now);
  return live.length < LIMITS.maxQuotaWaiters;
}
