/** What a lane counts, in the words of the contract. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { IN_CLASS, NOW, PARTITION, created, event, given, idOf, X, type StateClass } from './dsl.js';

const of = (page: object, ...events: readonly Event[]): unknown => {
  const answer = given(...events)
    .when('purgeExecution', { executionId: idOf(99) }, NOW)
    .reads('readCounts', { partition: PARTITION, ...page }, NOW) as { outcome: unknown };
  return answer.outcome;
};

const EXPECTED: Partial<Record<StateClass, object>> = {
  RW: { states: { waiting: 1 }, reasons: { waiting_for_worker: 1 }, ownerless: 0 },
  DW: { states: { delayed: 1 }, reasons: { waiting_for_delay: 1 }, ownerless: 0 },
  AE: { states: { active: 1 }, reasons: { waiting_for_worker: 1 }, ownerless: 1 },
  AR: { states: { active: 1 }, reasons: { waiting_for_worker: 1 }, ownerless: 1 },
};

describe('readCounts', () => {
  test.each(Object.entries(EXPECTED))('counts what is %s', (state, counts) => {
    expect(of({}, ...IN_CLASS[state as StateClass])).toEqual({
      lanes: [{ laneId: 'lane', total: 1, held: 0, ...counts }],
      damaged: [],
      nextCursor: undefined,
    });
  });

  test('counts held executions beside their states', () => {
    const held = event('execution_held', { at: NOW, heldBy: 'ann', holdReason: 'why' });
    expect(of({}, created(), held)).toMatchObject({ lanes: [{ total: 1, states: { waiting: 1 }, held: 1 }] });
  });

  test('shows a lane of which nothing is left, page by page', () => {
    const events = [
      created({ laneId: 'b' }),
      created({ executionId: idOf(2), laneId: 'a' }),
      event('execution_cancelled', { executionId: X, cancelledBy: 'operator_override', cancellationReason: '' }),
      event('execution_purged', { executionId: X }),
    ];
    expect(of({ limit: 1 }, ...events)).toMatchObject({ lanes: [{ laneId: 'a', total: 1 }], nextCursor: 'a' });
    const rest = { laneId: 'b', total: 0, states: {}, reasons: {}, ownerless: 0, held: 0 };
    expect(of({ cursor: 'a' }, ...events)).toEqual({ lanes: [rest], damaged: [], nextCursor: undefined });
    expect(of({ limit: 0 }, ...events)).toEqual({ lanes: [], damaged: [], nextCursor: undefined });
  });
});
