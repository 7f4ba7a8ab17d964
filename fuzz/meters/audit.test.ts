/** The audit of meters detects the violations that it looks for. */
import { expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { auditBudget, auditHandlers, auditSettlements, auditSlots } from './audit.js';

const budgetId = 'b';
const made = (reservationId: string, tokens: number) =>
  ({ type: 'reservation_made', budgetId, at: 1, reservationId, amounts: { tokens } }) as unknown as Event;
const settled = (reservationId: string, held: number, tokens: number) =>
  ({
    ...{ type: 'reservation_settled', budgetId, at: 2, reservationId },
    ...{ held: { tokens: held }, deltas: { tokens }, overrun: {} },
  }) as unknown as Event;
const limited = { type: 'budget_created', budgetId, at: 0, hardLimits: { tokens: 10 } } as unknown as Event;

test('the audit finds an exceeded limit, an amount that is returned twice, and a settlement that is lost or wrong', () => {
  const fine = [limited, made('a', 6), settled('a', 6, 5), made('c', 5)];
  expect(auditBudget(budgetId, fine)).toMatchObject({ account: { usage: 5, reserved: 5 }, faults: [] });
  expect(auditBudget(budgetId, [...fine, made('d', 1)]).faults).toEqual([
    '5 used and 6 reserved of 10 after reservation_made at 1',
  ]);
  const twice = auditBudget(budgetId, [...fine, settled('a', 6, 1)]);
  expect(twice.faults).toEqual(['a gave back 6, and held 0', 'a was settled twice', expect.stringContaining('6 used')]);
  const records = [
    { entry: 'settles', reservationId: 'a', used: 4 },
    { entry: 'settled', reservationId: 'x' },
  ] as const;
  expect(auditSettlements(auditBudget(budgetId, fine).settled, records)).toEqual([
    'the settlement of x was answered, and is lost',
    'a was settled with 5, and its holder said 4',
  ]);
});

test('the audit finds an excess slot, a slot that is never freed, and an excess handler', () => {
  const of = (type: string, admissions: string[]) =>
    ({ type, quotaPolicyId: 'q', at: 3, admissions, concurrencyCap: 1 }) as unknown as Event;
  const events = [of('quota_policy_created', []), of('quota_admitted', ['a']), of('quota_released', ['a'])];
  expect(auditSlots(events)).toEqual([]);
  expect(auditSlots([...events, of('quota_admitted', ['b', 'c']), of('quota_released', ['b'])])).toEqual([
    'q has 2 slots of 1 at 3',
    'q has 1 slots left',
  ]);
  const began = (by: string, at: number) => ({ entry: 'began', by, tenant: 't', at }) as const;
  const first = { records: [began('a', 1), { ...began('a', 5), entry: 'ended' as const }], goneAt: 9 };
  expect(auditHandlers([first, { records: [began('b', 5)], goneAt: 9 }], 1)).toEqual([]);
  expect(auditHandlers([first, { records: [began('b', 4)], goneAt: 9 }], 1)).toEqual([
    '2 handlers of t run at 4, and 1 may',
  ]);
});
