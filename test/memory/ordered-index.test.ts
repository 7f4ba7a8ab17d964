import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { fold } from '../../model/evolve.js';
import { emptyState } from '../../model/state.js';
import { OrderedIndex } from '../../src/memory/ordered-index.js';
import { RetentionSlots } from '../../src/memory/retention-slots.js';

const idOf = (index: number): string => `{fp:0}:00000000-0000-7000-8000-${index.toString().padStart(12, '0')}`;

function executionOf(index: number): ReadonlyExecution {
  const executionId = idOf(index);
  const state = emptyState();
  fold(state, {
    type: 'execution_created',
    executionId,
    at: 0,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    priority: 0,
    payloadBytes: 0,
    payloadEncoding: undefined,
    flow: undefined,
    rank: 0,
    awaitsSeal: false,
    holdsKey: false,
    executionDeadlineAt: undefined,
    idempotencyExpiresAt: undefined,
    delayUntil: undefined,
    requiredCapabilities: [],
    meters: [],
    idempotencyKey: undefined,
    tags: {},
    policy: undefined,
  });
  return state.tables.execution.get(executionId) as ReadonlyExecution;
}

/** Every entry that a list of (score, id) pairs in order would hold. */
function expectSame(index: OrderedIndex<ReadonlyExecution>, reference: ReadonlyMap<number, number>): void {
  const sorted = [...reference]
    .map(([id, score]) => ({ score, id: idOf(id) }))
    .sort((a, b) => a.score - b.score || (a.id < b.id ? -1 : 1));
  const ids = sorted.map(({ id }) => id);
  expect([...index.positions()]).toEqual(sorted);
  expect(index.size).toBe(sorted.length);
  expect(index.first?.executionId).toBe(ids[0]);
  expect(index.firstScore).toBe(sorted[0]?.score);
  expect(index.head(7).map(({ executionId }) => executionId)).toEqual(ids.slice(0, 7));
  const middle = sorted[sorted.length >>> 1];
  if (middle === undefined) return;
  const upTo = sorted.filter(({ score }) => score <= middle.score).map(({ id }) => id);
  expect(index.head(Infinity, middle.score).map(({ executionId }) => executionId)).toEqual(upTo);
  const rest = ids.slice((sorted.length >>> 1) + 1);
  expect(index.after(middle.score, middle.id, 1_000).map(({ executionId }) => executionId)).toEqual(
    rest.slice(0, 1_000),
  );
}

describe('an ordered index', () => {
  it('contains the same as a sorted list', () => {
    const operation = fc.record({ add: fc.boolean(), id: fc.nat(40), score: fc.integer({ min: -3, max: 3 }) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
        const index = new OrderedIndex<ReadonlyExecution>();
        const reference = new Map<number, number>();
        for (const { add, id, score } of operations) {
          const present = reference.get(id);
          if (add && present === undefined) {
            index.add(score, idOf(id), executionOf(id));
            reference.set(id, score);
          } else if (!add) {
            index.remove(present ?? score, idOf(id));
            reference.delete(id);
          }
        }
        expectSame(index, reference);
      }),
    );
  });

  // Deterministic, so that a failure is the same at every run: 7 919 is prime to all these sizes.
  const orders = {
    ascending: (i: number) => i,
    descending: (i: number, size: number) => size - i,
    scattered: (i: number, size: number) => (i * 7_919) % size,
  };
  for (const [name, place] of Object.entries(orders)) {
    it(`grows and shrinks across its arrays, ${name}`, () => {
      const size = 2_500;
      const index = new OrderedIndex<ReadonlyExecution>();
      const reference = new Map<number, number>();
      for (let i = 0; i < size; i++) {
        const id = place(i, size);
        const score = Math.floor(id / 3);
        index.add(score, idOf(id), executionOf(id));
        reference.set(id, score);
      }
      expectSame(index, reference);
      let removed = 0;
      for (const [id, score] of [...reference]) {
        if (removed++ % 5 === 0) continue;
        index.remove(score, idOf(id));
        reference.delete(id);
      }
      expectSame(index, reference);
      for (const [id, score] of reference) index.remove(score, idOf(id));
      expectSame(index, new Map());
    });
  }

  it('ignores the removal of an absent member', () => {
    const index = new OrderedIndex<ReadonlyExecution>();
    index.remove(1, idOf(1));
    index.add(1, idOf(1), executionOf(1));
    index.remove(2, idOf(1));
    index.remove(1, idOf(2));
    expect(index.size).toBe(1);
  });
});

describe('retention slots', () => {
  it('contain the same as a set per slot', () => {
    const operation = fc.record({ add: fc.boolean(), id: fc.nat(12), purgeAt: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
        const slots = new RetentionSlots();
        const reference = new Map<number, number>();
        for (const { add, id, purgeAt } of operations) {
          const present = reference.get(id);
          if (add && present === undefined) {
            slots.add(purgeAt, idOf(id));
            reference.set(id, purgeAt);
          } else if (!add && present !== undefined) {
            slots.remove(present, idOf(id));
            reference.delete(id);
          }
          const expected = [0, 1, 2, 3].flatMap((time) => {
            const ids = [...reference]
              .filter(([, at]) => at === time)
              .map(([member]) => idOf(member))
              .sort();
            return ids.length === 0 ? [] : [[time, ids]];
          });
          expect([...slots.entries()].map(([time, ids]) => [time, [...ids].sort()])).toEqual(expected);
          expect(slots.first).toBe(expected[0]?.[0]);
          expect(slots.due(1, 2)).toHaveLength(Math.min(2, [...reference.values()].filter((time) => time <= 1).length));
        }
      }),
    );
  });
});
