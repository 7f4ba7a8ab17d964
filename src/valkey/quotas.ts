/** Quota policies as they are stored: a record, and sets beside it. */
import type { QuotaPolicy, ReadonlyQuotaPolicy, Slot, Waiter } from '../../model/quota/facts.js';
import { pairsOf } from './fetch.js';
import { decodeEntity } from './record.js';
import { textOf, type WireReply } from './reply.js';

/** The sets beside the record of a policy. */
export interface QuotaSets {
  readonly slots: Record<string, Slot>;
  readonly window: Record<string, number>;
  readonly waiters: Record<string, Waiter>;
}

const waiterIn = (text: string): Waiter => {
  const [since, wanted, expiresAt] = text.split('\t').map(Number) as [number, number, number];
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
    // The server has not counted expired ones.
    waiters: counted(number(waiters), { since: 0, wanted: 1, expiresAt: Number.POSITIVE_INFINITY }),
  };
}
