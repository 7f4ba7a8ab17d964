/** Quota policies as they are stored: a record, and sets beside it. */
import { present } from '../../../model/core/present.js';
import type { ReadonlyQuotaPolicy, Slot, Waiter } from '../../../model/quota/facts.js';
import { decodeEntity } from './record.js';
import { numberOf, pairsOf, repliesOf, type WireReply } from '../wire/reply.js';

/** The sets beside the record of a policy. */
export interface QuotaSets {
  readonly slots: Record<string, Slot>;
  readonly window: Record<string, number>;
  readonly waiters: Record<string, Waiter>;
}

const waiterIn = (text: string): Waiter => {
  const [since = 0, wanted = 0, expiresAt = 0] = text.split('\t').map(Number);
  return { since, wanted, expiresAt };
};

/** The sets of a policy: holders of slots, times of their checks, admissions in the window, and waiting claimers. */
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

/** A table with `count` entries under invented names, because the read returns only their number. */
const counted = <Value>(count: number, value: Value): Record<string, Value> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [String(index), value]));

/** A policy from an answer: its record, and the numbers of slots, admissions and waiting claimers. */
export function policyAnswered(quotaPolicyId: string, reply: WireReply): ReadonlyQuotaPolicy {
  const [record, held, live, first, waiters] = repliesOf(reply, 5);
  const stored = { core: pairsOf(record), details: new Map<string, string>() };
  const facts = present(decodeEntity('quota_policy', quotaPolicyId, stored));
  return {
    ...facts,
    slots: counted(numberOf(held), { holder: '', checkAt: 0 }),
    window: counted(numberOf(live), numberOf(first)),
    // The server has not counted expired ones.
    waiters: counted(numberOf(waiters), { since: 0, wanted: 1, expiresAt: Number.POSITIVE_INFINITY }),
  };
}
