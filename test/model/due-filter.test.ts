/** A pass with a filter: which due work it applies, which it passes over, and where the next one continues. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { partitionIn } from '../../model/families.js';
import { APPLIER_MS } from '../../model/limits.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { created, event, given, givenIn, idOf, NOW, PARTITION, START } from './dsl.js';

const OURS = { namespace: 'ours' };
const delayed = (n: number, until: number, facts: object = {}): Event =>
  created({ executionId: idOf(n), delayUntil: until, ...facts });
const theirs = (n: number, until: number): Event => delayed(n, until, { namespace: 'theirs' });
const ours = (n: number, until: number): Event => delayed(n, until, OURS);
const pass = (args: object = {}) => ({ partition: PARTITION, filter: OURS, ...args });
const at = (n: number, time: number): string => `${time}:${idOf(n)}`;

describe('a filter matches', () => {
  const world = [
    delayed(1, NOW, {
      namespace: 'a',
      laneId: 'x',
      executionKind: 'k',
      tags: { 'team.name': 'core', 'team.city': '' },
    }),
    delayed(2, NOW, { namespace: 'a', laneId: 'y', executionKind: 'k', tags: { 'team.name': 'other' } }),
    delayed(3, NOW, { namespace: 'b', laneId: 'x', executionKind: 'm' }),
  ];
  const promoted = (filter: object): number[] => {
    const { decision } = given(...world).when('applyDue', { partition: PARTITION, filter });
    const ids = decision.ok ? decision.events.map((it) => (it as { executionId: string }).executionId) : [];
    return [1, 2, 3].filter((n) => ids.includes(idOf(n)));
  };

  test('by each member alone, and by all of them together', () => {
    expect(promoted({ namespace: 'a' })).toEqual([1, 2]);
    expect(promoted({ laneId: 'x' })).toEqual([1, 3]);
    expect(promoted({ executionKind: 'm' })).toEqual([3]);
    expect(promoted({ tags: { 'team.name': 'core' } })).toEqual([1]);
    expect(promoted({ tags: { 'team.name': 'core', 'team.city': '' } })).toEqual([1]);
    expect(promoted({ tags: { 'team.name': 'core', 'team.city': 'x' } })).toEqual([]);
    expect(promoted({ namespace: 'a', laneId: 'x', executionKind: 'k' })).toEqual([1]);
    expect(promoted({ namespace: 'b', laneId: 'y' })).toEqual([]);
  });

  test('no work without an execution: every loop applies it', () => {
    const partition = partitionIn('worker', 'theirs');
    const worker: Event = {
      type: 'worker_registered',
      workerInstanceId: 'w-1',
      at: START,
      workerId: 'pool',
      registeredAt: START,
      livenessTtlMs: 1,
      lanes: ['mail'],
      capabilities: [],
      kinds: undefined,
      slots: undefined,
    };
    givenIn(partition, worker)
      .when('applyDue', pass({ partition }))
      .answers({ others: { worker: 1 } });
  });
});

describe('a call with a filter', () => {
  test('looks at a bounded number of timers, and says where to continue', () => {
    given(...[1, 2, 3].map((n) => theirs(n, START + n)), ours(4, START + 4))
      .when('applyDue', pass({ limit: 2 }))
      .answers({ promoted: 0, after: at(2, START + 2) })
      .nothingHappens()
      .when('applyDue', pass({ limit: 2, after: at(2, START + 2) }), NOW)
      .answers({ promoted: 1, after: at(3, START + 3) })
      .then({ type: 'execution_promoted', executionId: idOf(4) })
      .when('applyDue', pass({ limit: 2, after: at(3, START + 3) }), NOW)
      .answers({ promoted: 0, after: undefined })
      .nothingHappens();
  });

  test('passes many timers of one time', () => {
    given(...[1, 2, 3, 4].map((n) => theirs(n, NOW)), ours(5, NOW))
      .when('applyDue', pass({ limit: 2 }))
      .answers({ promoted: 0, after: at(2, NOW) })
      .when('applyDue', pass({ limit: 2, after: at(2, NOW) }), NOW)
      .answers({ promoted: 0, after: at(4, NOW) })
      .when('applyDue', pass({ limit: 2, after: at(4, NOW) }), NOW)
      .answers({ promoted: 1 });
  });

  test('continues from a position whose execution is gone', () => {
    given(theirs(1, START + 1), ours(3, START + 1), ours(4, START + 1))
      .when('applyDue', pass({ after: at(3, START + 1) }))
      .answers({ promoted: 1, after: at(3, START + 1) })
      .then({ type: 'execution_promoted', executionId: idOf(4) })
      .when('applyDue', pass({ after: at(2, START + 1) }), NOW)
      .answers({ promoted: 1 })
      .then({ type: 'execution_promoted', executionId: idOf(3) });
  });

  test('continues after a pass that applied something, because a transition can make more due', () => {
    given(ours(1, NOW)).when('applyDue', pass()).answers({ promoted: 1, after: undefined });
    given(theirs(1, START), ours(2, NOW))
      .when('applyDue', pass())
      .answers({ promoted: 1, after: at(1, START) });
  });

  test('ignores timers before its position in the next due time', () => {
    given(theirs(1, START), theirs(2, NOW + 7))
      .when('applyDue', pass())
      .answers({ promoted: 0, nextDueAt: NOW + 7 });
    given(theirs(1, START)).when('applyDue', pass()).answers({ promoted: 0, nextDueAt: undefined });
  });
});

describe('turns and purges', () => {
  const four = [1, 2, 3, 4].map((n) => ours(n, START + n));

  test('neither leave work to other loops nor keep them away, with a filter', () => {
    given(...four)
      .when('applyDue', { partition: PARTITION, owner: 'one', limit: 2 })
      .when('applyDue', pass({ owner: 'two', limit: 1 }), NOW)
      .answers({ kind: 'applied', promoted: 1 })
      .when('applyDue', { partition: PARTITION, owner: 'three', limit: 1 }, NOW)
      .answers({ kind: 'left_to_other', until: NOW + APPLIER_MS });
    given(...four)
      .when('applyDue', pass({ owner: 'two', limit: 1 }))
      .when('applyDue', { partition: PARTITION, owner: 'one', limit: 1 }, NOW)
      .answers({ kind: 'applied', promoted: 1 });
  });

  test('come in order: executions past their retention are purged once all due work was seen', () => {
    const over = [
      created({ executionId: idOf(9), namespace: 'theirs' }),
      event('execution_cancelled', { executionId: idOf(9), purgeAt: NOW }),
    ];
    given(...over, theirs(1, START), theirs(2, START))
      .when('applyDue', pass({ limit: 2 }))
      .answers({ purged: 0, after: at(2, START) })
      .when('applyDue', pass({ limit: 2, after: at(2, START) }), NOW)
      .answers({ purged: 1, after: undefined })
      .leavesNothing(idOf(9));
  });
});

test('need a filter and the same partition for a position', () => {
  const args = { partition: PARTITION, after: at(5, NOW) };
  expect(() => parseCommand('applyDue', args, 'memory')).toThrow(/after/);
  expect(() => parseCommand('applyDue', { ...pass(args), partition: '{fp:1}' }, 'memory')).toThrow(/after/);
  expect(() => parseCommand('applyDue', { ...args, filter: {} }, 'memory')).toThrow(/filter/);
});
