/** What reads say, what is due when, and how handles carry a fence. */
import { describe, expect, test } from 'vitest';
import { parseQuery } from '../../src/backend/boundary.js';
import { decodeHandle, encodeHandle, handleOf } from '../../model/handle.js';
import { nextTimer } from '../../model/schedule/timers.js';
import { snapshotOf } from '../../model/execution/projections.js';
import { evolve } from '../../model/specification/evolve.js';
import { emptyState } from '../../model/state.js';
import type { Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { stateClassOf } from '../../fuzz/state-class.js';
import {
  claimed,
  CLASSES,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  PARTITION,
  uuid,
  X,
} from './dsl.js';

const folded = (events: readonly Event[]): ReadonlyExecution =>
  events.reduce(evolve, emptyState()).tables.execution.get(X) as ReadonlyExecution;

describe('the next timer', () => {
  test.each([
    ['nothing is due for ready work', [created()], undefined],
    ['the end of a delay', IN_CLASS.DW, { kind: 'delay', at: DELAYED_UNTIL }],
    ['the end of a lease', [created(), claimed({ leaseExpiresAt: 9 })], { kind: 'lease', at: 9 }],
    [
      'the attempt timeout before it',
      [created(), claimed({ leaseExpiresAt: 9, attemptTimeoutAt: 8 })],
      { kind: 'attempt_timeout', at: 8 },
    ],
    [
      'on equal times what ends more',
      [created({ executionDeadlineAt: 8 }), claimed({ leaseExpiresAt: 8, attemptTimeoutAt: 8 })],
      { kind: 'execution_deadline', at: 8 },
    ],
    [
      'of lapsed work the attempt timeout',
      [created(), claimed({ attemptTimeoutAt: 8 }), event('lease_expired')],
      { kind: 'attempt_timeout', at: 8 },
    ],
    ['of lapsed work without a timeout nothing', IN_CLASS.AE, undefined],
    ['of terminal work nothing', [created({ executionDeadlineAt: 8 }), ...IN_CLASS.Tcompleted.slice(1)], undefined],
  ] as const)('%s', (_, events, expected) => {
    expect(nextTimer(folded(events))).toEqual(expected);
  });
});

describe('the classes of states', () => {
  test.each(CLASSES)('%s is reached by its events', (state) => {
    expect(stateClassOf(state === 'none' ? undefined : folded(IN_CLASS[state]), NOW)).toBe(state);
  });
});

describe('snapshots', () => {
  test('a lease is shown while the execution is active, lapsed or not', () => {
    for (const state of ['AL', 'AX', 'AE', 'AR'] as const)
      expect(snapshotOf(folded(IN_CLASS[state])).currentLease).toMatchObject({
        leaseId: FENCE.leaseId,
        attemptIndex: 0,
      });
    for (const state of ['RW', 'RI', 'DI', 'Tcompleted'] as const)
      expect(snapshotOf(folded(IN_CLASS[state])).currentLease).toBeUndefined();
  });

  test('the blocking reason is undefined, and not the text none', () => {
    expect(snapshotOf(folded(IN_CLASS.AL)).blockingReason).toBeUndefined();
    expect(snapshotOf(folded(IN_CLASS.RW)).blockingReason).toBe('waiting_for_worker');
  });

  test('an empty reason is kept', () => {
    const failed = given(created(), claimed()).when('failExecution', {
      executionId: X,
      fence: FENCE,
      failureReason: '',
    });
    expect(failed.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { failureReason: '', failureCategory: 'transient', cancellationReason: undefined },
    });
    const gone = given(created()).when('cancelExecution', { executionId: X, reason: '', source: 'operator_override' });
    expect(gone.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { cancellationReason: '', failureReason: undefined, failureCategory: undefined },
    });
  });

  test('there is no current attempt between a failure and its retry', () => {
    const backoff = [
      created(),
      claimed(),
      event('retry_scheduled', { failureReason: 'r', failureCategory: 'io', delayUntil: NOW }),
    ];
    expect(snapshotOf(folded(backoff)).currentAttempt).toBeUndefined();
    expect(snapshotOf(folded(IN_CLASS.DI)).currentAttempt).toMatchObject({ attemptIndex: 0 });
  });

  test("reads of missing executions answer, except for reads of a worker's context", () => {
    const empty = given().when('promoteDelayed', { executionId: X });
    for (const name of [
      'describeExecution',
      'readExecutionInfo',
      'readExecutionState',
      'getExecutionResult',
    ] as const) {
      expect(empty.reads(name, { executionId: X }, NOW)).toMatchObject({ ok: true, outcome: undefined });
    }
    expect(empty.reads('readExecutionContext', { executionId: X }, NOW)).toMatchObject({
      ok: false,
      code: 'execution_not_found',
    });
  });
});

describe('pages of ids', () => {
  const world = given(...[3, 1, 2].map((n) => created({ executionId: `${PARTITION}:${uuid(n)}` }))).when(
    'promoteDelayed',
    { executionId: X },
  );
  const id = (n: number): string => `${PARTITION}:${uuid(n)}`;
  test.each([
    [{ limit: 2 }, [id(1), id(2)], id(2)],
    [{ limit: 3 }, [id(1), id(2), id(3)], undefined],
    [{ limit: 2, cursor: id(1) }, [id(2), id(3)], undefined],
    [{ limit: 1, cursor: id(1) }, [id(2)], id(2)],
    [{ limit: 5, cursor: id(3) }, [], undefined],
    [{ limit: 0 }, [], undefined],
  ])('%j', (page, executions, nextCursor) => {
    expect(world.reads('listExecutions', { partition: PARTITION, ...page }, NOW)).toMatchObject({
      outcome: { executions, nextCursor },
    });
  });
});

describe('handles', () => {
  test('carry a claim and are decoded to it', () => {
    const { decision } = given(created()).when('claimForWorker', {
      partition: PARTITION,
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'w-1',
      claims: [{ leaseId: FENCE.leaseId, attemptId: FENCE.attemptId }],
    });
    if (!decision.ok || !('executions' in decision.outcome)) throw new Error('nothing was claimed');
    const [execution] = decision.outcome.executions;
    const handle = handleOf(execution as NonNullable<typeof execution>, {
      backend: 'memory',
      leaseTtlMs: 30_000,
      laneId: 'lane',
      workerInstanceId: 'w-1',
    });
    const payload = decodeHandle(handle, 'memory');
    expect(decodeHandle(encodeHandle(payload), 'memory')).toEqual(payload);
    expect(payload).toMatchObject({ kind: 'fresh', executionId: X, ...FENCE, attemptIndex: 0 });
    expect(() => decodeHandle(encodeHandle(payload), 'valkey')).toThrowError(/handle_from_other_backend/);
    expect(() => decodeHandle(`${encodeHandle(payload)}x`, 'memory')).toThrowError(/corruption/);
  });
});

test.each(['listQueueHeads', 'listMeteredHeads'] as const)('%s reads a lane that is named twice once', (name) => {
  const { laneIds } = parseQuery(name, { partition: PARTITION, laneIds: ['b', 'a', 'b'] }, 'valkey');
  expect(laneIds).toEqual(['a', 'b']);
});
