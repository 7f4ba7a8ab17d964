/** How much room a quota policy has, which claimers it wakes, and when something is due for it. */
import { compareBytes } from '../ids.js';
import { IDLE_QUOTA_MS, SLOT_CHECK_MS, SLOTS_PER_CHECK } from '../limits.js';
import type { QuotaPolicy, ReadonlyQuotaPolicy, Slot, Waiter } from './facts.js';

export const slotsOf = ({ slots }: ReadonlyQuotaPolicy): Record<string, Slot> => slots ?? {};
export const windowOf = ({ window }: ReadonlyQuotaPolicy): Record<string, number> => window ?? {};
export const waitersOf = ({ waiters }: ReadonlyQuotaPolicy): Record<string, Waiter> => waiters ?? {};

const sizeOf = (record: object): number => Object.keys(record).length;

/** Admissions that are in the window now. */
export const inWindow = (policy: ReadonlyQuotaPolicy, now: number): [string, number][] =>
  Object.entries(windowOf(policy)).filter(([, at]) => at > now - policy.windowMs);

/** How many more admissions fit: by the rate, and by the cap. */
export function roomOf(policy: ReadonlyQuotaPolicy, now: number): { readonly rate: number; readonly cap: number } {
  const { maxRequests, concurrencyCap } = policy;
  return {
    rate: maxRequests === 0 ? Infinity : maxRequests - inWindow(policy, now).length,
    cap: concurrencyCap === 0 ? Infinity : concurrencyCap - sizeOf(slotsOf(policy)),
  };
}

/** Slots whose check is later than any that is set now: they were taken before the clock stepped back. The nearest first. */
export function misdatedOf(policy: ReadonlyQuotaPolicy, now: number): string[] {
  const latest = now + Math.max(policy.slotTtlMs, SLOT_CHECK_MS);
  return Object.entries(slotsOf(policy))
    .filter(([, { checkAt }]) => checkAt > latest)
    .sort(([a, x], [b, y]) => x.checkAt - y.checkAt || compareBytes(a, b))
    .slice(0, SLOTS_PER_CHECK)
    .map(([id]) => id);
}

/** Time until the rate has room, ms; 0 when it has. */
export function rateRetryMs(policy: ReadonlyQuotaPolicy, now: number): number {
  const times = inWindow(policy, now).map(([, at]) => at);
  return times.length === 0 ? 0 : Math.max(0, Math.min(...times) + policy.windowMs - now);
}

/** Removes times that have left the window. */
export function trim(policy: QuotaPolicy, now: number): void {
  policy.window = Object.fromEntries(inWindow(policy, now));
}

const inTurn = ([a, { since: x }]: [string, Waiter], [b, { since: y }]: [string, Waiter]): number =>
  x - y || compareBytes(a, b);

/** Waiting claimers that fit now, the longest waiting first. */
export function fitting(policy: ReadonlyQuotaPolicy, now: number): string[] {
  const { rate, cap } = roomOf(policy, now);
  let room = Math.min(rate, cap);
  const woken: string[] = [];
  for (const [name, { wanted, expiresAt }] of Object.entries(waitersOf(policy)).sort(inTurn)) {
    if (room <= 0) break;
    if (expiresAt <= now) continue;
    woken.push(name);
    room -= wanted;
  }
  return woken;
}

/** Forgets woken claimers, and those whose waiting time is over. */
export function forgetWaiters(policy: QuotaPolicy, woken: readonly string[], now: number): void {
  policy.waiters = Object.fromEntries(
    Object.entries(waitersOf(policy)).filter(([name, { expiresAt }]) => expiresAt > now && !woken.includes(name)),
  );
}

/** When the window will have room for waiting claimers, if it is full. */
export function windowMovesAt(policy: ReadonlyQuotaPolicy): number | undefined {
  const window = Object.values(windowOf(policy));
  if (policy.maxRequests === 0 || window.length < policy.maxRequests || sizeOf(waitersOf(policy)) === 0)
    return undefined;
  return Math.min(...window) + policy.windowMs;
}

/** When an unused policy for a key is forgotten. */
export function forgottenAt(policy: ReadonlyQuotaPolicy): number | undefined {
  if (!policy.keyed || sizeOf(slotsOf(policy)) > 0) return undefined;
  return policy.lastUsedAt + policy.windowMs + IDLE_QUOTA_MS;
}

/** When the next due work of a policy is: confirming a slot, moving the window, forgetting it. */
export function quotaTimerAt(policy: ReadonlyQuotaPolicy): number | undefined {
  const times = [
    ...Object.values(slotsOf(policy)).map(({ checkAt }) => checkAt),
    windowMovesAt(policy),
    forgottenAt(policy),
  ].filter((at) => at !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}
