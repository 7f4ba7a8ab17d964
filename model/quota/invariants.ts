/** What holds for quota policies. Source: spec 09, the section named Invariants (12 to 16). */
import { present } from '../core/present.js';
import type { Invariant, World } from '../specification/invariant.js';
import type { ReadonlyQuotaPolicy } from './facts.js';
import { quotaTimerAt, slotsOf, waitersOf, windowOf } from './room.js';

function everyPolicy(
  name: string,
  broken: (policy: ReadonlyQuotaPolicy, world: World) => string | undefined,
): Invariant {
  return {
    name,
    check(world) {
      for (const policy of world.state.tables.quota_policy.values()) {
        const because = broken(policy, world);
        if (because !== undefined) return `${policy.quotaPolicyId}: ${because}`;
      }
      return undefined;
    },
  };
}

/** When admissions of a policy were granted, according to the log. Admissions returned unused are left out. */
function grantedTimes({ log }: World, quotaPolicyId: string): Map<string, number> {
  const granted = new Map<string, number>();
  for (const { event } of log) {
    if (event.type === 'quota_admitted' && event.quotaPolicyId === quotaPolicyId)
      for (const id of event.admissions) granted.set(id, event.at);
    if (event.type === 'quota_released' && event.quotaPolicyId === quotaPolicyId && event.unused)
      for (const id of event.admissions) granted.delete(id);
  }
  return granted;
}

export const quotaInvariants: readonly Invariant[] = [
  everyPolicy('there are no more slots than the cap allows', (policy) => {
    const slots = Object.keys(slotsOf(policy)).length;
    return policy.concurrencyCap > 0 && slots > policy.concurrencyCap ? `${slots} slots` : undefined;
  }),
  everyPolicy('at every admission fewer than the rate were admitted in the window before', (policy, world) => {
    const { maxRequests, windowMs, quotaPolicyId } = policy;
    if (maxRequests === 0 || world.replay.steppedBack) return undefined;
    const times = [...grantedTimes(world, quotaPolicyId).values()].sort((a, b) => a - b);
    const early = times.findIndex((at, i) => i >= maxRequests && at - present(times[i - maxRequests]) < windowMs);
    return early < 0 ? undefined : `more than ${maxRequests} admissions up to ${times[early]}`;
  }),
  everyPolicy('a slot is of an admission that was granted and not given back', (policy, { log, replay }) => {
    if (!replay.whole) return undefined;
    const held = new Set<string>();
    for (const { event } of log) {
      if (event.type === 'quota_admitted' && event.quotaPolicyId === policy.quotaPolicyId)
        for (const id of event.admissions) held.add(id);
      if (event.type === 'quota_released' && event.quotaPolicyId === policy.quotaPolicyId)
        for (const id of event.admissions) held.delete(id);
    }
    const stray = Object.keys(slotsOf(policy)).find((id) => !held.has(id));
    return stray === undefined ? undefined : `${stray} was not granted`;
  }),
  everyPolicy('every slot is asked in time whether it is in use, so none outlives its holder', (policy) => {
    const timer = quotaTimerAt(policy) ?? Infinity;
    return Object.values(slotsOf(policy)).every(({ checkAt }) => checkAt >= timer) ? undefined : 'a slot is not asked';
  }),
  everyPolicy('the window of a policy has no admission after its last use', (policy) =>
    Object.values(windowOf(policy)).every((at) => at <= policy.lastUsedAt && policy.maxRequests > 0)
      ? undefined
      : 'an admission is of another time',
  ),
  everyPolicy('a waiting claimer wants at least one admission, and waits until a set time', (policy) =>
    Object.values(waitersOf(policy)).every(({ wanted, since, expiresAt }) => wanted > 0 && expiresAt > since)
      ? undefined
      : 'one wants nothing',
  ),
];
