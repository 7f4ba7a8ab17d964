/** Due work of quota policies: asking whether slots are in use, moving the window, forgetting idle policies. */
import { compareBytes } from '../ids.js';
import type { Event } from '../events.js';
import { SLOTS_PER_CHECK } from '../limits.js';
import type { DueContext } from '../schedule/due.js';
import type { ReadonlyQuotaPolicy } from './facts.js';
import { fitting, forgottenAt, slotsOf, windowMovesAt } from './room.js';

/** Slots whose use must be confirmed now, the longest waiting first. */
const overdueOf = (policy: ReadonlyQuotaPolicy, now: number): { readonly id: string; readonly holder: string }[] =>
  Object.entries(slotsOf(policy))
    .filter(([, { checkAt }]) => checkAt <= now)
    .sort(([a, x], [b, y]) => x.checkAt - y.checkAt || compareBytes(a, b))
    .slice(0, SLOTS_PER_CHECK)
    .map(([id, { holder }]) => ({ id, holder }));

const hasCome = (at: number | undefined, now: number): boolean => at !== undefined && at <= now;

export function dueOfQuotaPolicy(policy: ReadonlyQuotaPolicy, { now }: DueContext): Event[] {
  const { quotaPolicyId } = policy;
  const overdue = overdueOf(policy, now);
  if (overdue.length > 0) {
    const admissions = overdue.map(({ id }) => id);
    return [{ type: 'quota_slots_checked', quotaPolicyId, at: now, admissions }];
  }
  if (hasCome(windowMovesAt(policy), now)) {
    return [{ type: 'quota_window_moved', quotaPolicyId, at: now, woken: fitting(policy, now).join('\n') }];
  }
  return hasCome(forgottenAt(policy), now) ? [{ type: 'quota_policy_forgotten', quotaPolicyId, at: now }] : [];
}

/** Slots to confirm: each admission with the partition to ask. */
export const owedOfQuotaPolicy = (policy: ReadonlyQuotaPolicy, now: number): string[] =>
  overdueOf(policy, now).map(({ id, holder }) => `${id}\t${holder}`);
