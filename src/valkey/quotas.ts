/** Quota policies as the server has them: a record, and sets beside it. */
import type { QuotaPolicy, ReadonlyQuotaPolicy, Slot, Waiter } from '../../model/quota/facts.js';
import { pairsOf } from './fetch.js';
import { decodeEntity } from './record.js';
import { textOf, type WireReply } from './reply.js';

/** What stands beside the record of a policy. */
export interface QuotaSets {
  readonly slots: Record<string, Slot>;
  readonly window: Record<string, number>;
  readonly waiters: Record<string, Waiter>;
}

const waiterIn = (text: string): Waiter => {
  const [since, wanted, expiresAt] = text.split('\t').map(Number) as [number, number, number];
  return { since, wanted, expiresAt };
};

/** The sets of a policy: holders of slots, when each is asked, times in the window, claimers that wait. */
export function quotaSetsOf(
  holders: Readonly<Record<string, string>>,
  checks: ReadonlyMap<string, number>,
  window: readonly (readonly [string, number])[],
  waiters: Readonly<Record<string, string>>,
): QuotaSets {
  return {
    slots: Object.fromEntries(
      Object.entries(holders).map(([id, holder]) => [id, { holder, checkAt: checks.get(id) ?? 0 }]),
    ),
    window: Object.fromEntries(window),
    waiters: Object.fromEntries(Object.entries(waiters).map(([name, text]) => [name, waiterIn(text)])),
  };
}

/** As many as were counted, under made-up names: a read shows numbers only. */
const counted = <Value>(count: number, value: Value): Record<string, Value> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index), value]));

/** A policy as the library answers it: its record, and how many slots, admissions, and claimers that wait there are. */
export function policyAnswered(quotaPolicyId: string, reply: WireReply): ReadonlyQuotaPolicy {
  const [record, held, live, first, waiters] = reply as WireReply[];
  const number = (text: WireReply | undefined): number => Number(textOf(text ?? null));
  const facts = decodeEntity('quota_policy', quotaPolicyId, {
    core: pairsOf(record ?? null),
    details: new Map(),
  }) as QuotaPolicy;
  return {
    ...facts,
    slots: counted(number(held), { holder: '', checkAt: 0 }),
    window: counted(number(live), number(first)),
    // The server left out those that wait no longer.
    waiters: counted(number(waiters), { since: 0, wanted: 1, expiresAt: Number.POSITIVE_INFINITY }),
  };
}
