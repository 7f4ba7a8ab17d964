/** Claiming: whom it serves, in which order, what kind of attempt it starts, and the cap on reclaims. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { parseCommand } from '../../src/backend/boundary.js';
import {
  claimArgs,
  claimed,
  CLASSES_ALONE,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  idOf,
  IN_CLASS,
  minted,
  NOW,
  RETENTION_MS,
  slotEnd,
  START,
  uuid,
  X,
} from './dsl.js';

/** Ids in the order in which one claim takes them, by their last digit. */
function order(events: readonly Event[], capabilities: string[] = []): number[] {
  const { decision } = given(...events).when(
    'claimForWorker',
    claimArgs({ claims: minted(20), workerCapabilities: capabilities }),
  );
  if (!decision.ok || !('executions' in decision.outcome)) return [];
  return decision.outcome.executions.map(({ executionId }) => Number(executionId.slice(-4)));
}

describe('which situations a claim takes', () => {
  const KINDS: Record<string, object> = {
    RW: { claimKind: 'fresh', attemptType: 'initial', attemptIndex: 0, leaseEpoch: 1, attemptId: uuid(202) },
    RI: { claimKind: 'resumed', attemptType: undefined, attemptIndex: 0, leaseEpoch: 2, attemptId: FENCE.attemptId },
    AE: { claimKind: 'reclaimed', attemptType: 'reclaim', attemptIndex: 1, leaseEpoch: 2, attemptId: uuid(202) },
    AR: { claimKind: 'reclaimed', attemptType: 'reclaim', attemptIndex: 1, leaseEpoch: 2, attemptId: uuid(202) },
  };
  test.each(CLASSES_ALONE)('%s', (state) => {
    const result = given(...IN_CLASS[state]).when('claimForWorker', claimArgs());
    const expected = KINDS[state];
    if (expected === undefined) result.answers({ kind: 'no_work', reclaimCapExceeded: [] }).nothingHappens();
    else {
      result
        .answers({
          kind: 'claimed',
          executions: [{ executionId: X, leaseId: uuid(102), leaseExpiresAt: NOW + 5_000, ...expected }],
        })
        .then({
          type: state === 'RI' ? 'execution_resumed' : 'execution_claimed',
          workerId: 'w2',
          workerInstanceId: 'w2-1',
        })
        .leaves({
          situation: 'running',
          dueAt: NOW + 5_000,
          leaseRevokeReason: '',
          leaseLastRenewedAt: undefined,
          nextAttempt: 'first',
        })
        .leavesState({
          ownershipState: 'leased',
          attemptState: 'running_attempt',
          publicState: 'active',
          eligibilityState: 'not_applicable',
        });
    }
  });

  test('a retry is a new attempt', () => {
    given(
      created(),
      claimed(),
      event('retry_scheduled', { failureReason: 'r', failureCategory: 'io', delayUntil: START + 1 }),
      event('execution_promoted', { at: START + 1 }),
    )
      .when('claimForWorker', claimArgs())
      .answers({
        kind: 'claimed',
        executions: [{ claimKind: 'fresh', attemptType: 'retry', attemptIndex: 1, leaseEpoch: 2 }],
      })
      .leaves({ totalAttemptCount: 2, retryCount: 1, startedAt: START, failureReason: 'r' });
  });

  test('a delayed execution is claimable once it is promoted, not before', () => {
    given(...IN_CLASS.DW)
      .when('claimForWorker', claimArgs(), DELAYED_UNTIL)
      .answers({ kind: 'no_work' });
  });

  test('another lane has no work', () => {
    given(created())
      .when('claimForWorker', claimArgs({ laneId: 'other' }))
      .answers({ kind: 'no_work' });
  });
});

describe('the order', () => {
  test('higher priority first, then older, then by id', () => {
    const at = (n: number, priority: number, time: number): Event =>
      created({ executionId: idOf(n), priority, at: time });
    expect(
      order([
        at(1, 0, START),
        at(2, 5, START + 9),
        at(3, 9_000, START + 10),
        at(4, 5, START + 8),
        at(6, 0, START + 1),
        at(5, 0, START + 1),
      ]),
    ).toEqual([3, 4, 2, 1, 5, 6]);
  });

  test('a claim with a least priority takes nothing less urgent, also when the clock was put back', () => {
    const at = (n: number, priority: number, time: number): Event =>
      created({ executionId: idOf(n), priority, at: time });
    const LATER = NOW + 600_000;
    const result = given(at(1, 4, START), at(2, 5, START), at(3, 5, LATER), at(4, 6, LATER)).when(
      'claimForWorker',
      claimArgs({ claims: minted(4), minPriority: 5 }),
    );
    const executions = [4, 2, 3].map((n) => ({ executionId: idOf(n) }));
    result.answers({ kind: 'claimed', executions: executions as never, nextPriority: 4 });
    expect(result.reads('readExecutionState', { executionId: X }, NOW)).toMatchObject({ outcome: 'waiting' });
  });

  test('lapsed and revoked work comes before every priority, oldest lapse first', () => {
    const lost = (n: number, at: number, how: 'lease_expired' | 'lease_revoked'): Event[] => [
      created({ executionId: idOf(n) }),
      claimed({ executionId: idOf(n), leaseId: uuid(500 + n), attemptId: uuid(600 + n) }),
      event(how, { executionId: idOf(n), at, reason: 'r' }),
    ];
    expect(
      order([
        created({ executionId: idOf(1), priority: 9_000 }),
        ...lost(2, START + 20, 'lease_expired'),
        ...lost(3, START + 10, 'lease_revoked'),
      ]),
    ).toEqual([3, 2, 1]);
  });

  test('retries and resumed work keep their place: creation decides', () => {
    const released = [
      created({ executionId: idOf(1), at: START }),
      claimed({ executionId: idOf(1) }),
      event('lease_released', { executionId: idOf(1), at: NOW }),
    ];
    expect(order([created({ executionId: idOf(2), at: START + 1 }), ...released])).toEqual([1, 2]);
  });

  test('a claim names no lease twice: two executions would have one, and one admission', () => {
    const [one] = minted(1) as [ReturnType<typeof minted>[0]];
    const twice = () =>
      parseCommand('claimForWorker', claimArgs({ claims: [one, { ...one, attemptId: uuid(777) }] }), 'memory');
    expect(twice).toThrow(expect.objectContaining({ code: 'invalid_input', detail: { field: 'claims' } }));
  });

  test('a claim takes as many executions as it has ids', () => {
    const world = [1, 2, 3].map((n) => created({ executionId: idOf(n), at: START + n }));
    given(...world)
      .when('claimForWorker', claimArgs({ claims: minted(2) }))
      .answers({
        kind: 'claimed',
        executions: [
          { executionId: idOf(1), leaseId: uuid(300) },
          { executionId: idOf(2), leaseId: uuid(301) },
        ],
      })
      .then({ type: 'execution_claimed' }, { type: 'execution_claimed' });
  });
});

describe('capabilities', () => {
  const needs = (n: number, ...requiredCapabilities: string[]): Event =>
    created({ executionId: idOf(n), at: START + n, requiredCapabilities });
  const world = [needs(1, 'gpu'), needs(2), needs(3, 'eu', 'gpu'), needs(4, 'GPU')];

  test.each([
    [[], [2]],
    [['gpu'], [1, 2]],
    [['eu'], [2]],
    [
      ['gpu', 'eu'],
      [1, 2, 3],
    ],
    [
      ['GPU', 'extra'],
      [2, 4],
    ],
  ])('a worker with %j takes %j', (capabilities, expected) => {
    expect(order(world, capabilities)).toEqual(expected);
  });

  test('work that a worker cannot do hides no lower work', () => {
    expect(
      order([
        created({ executionId: idOf(1), priority: 9_000, requiredCapabilities: ['gpu'] }),
        created({ executionId: idOf(2) }),
      ]),
    ).toEqual([2]);
  });
});

describe('the cap on reclaims', () => {
  const lapsed = (maxReclaimCount: number | undefined, reclaims: number): Event[] => {
    const events: Event[] = [created({ policy: maxReclaimCount === undefined ? undefined : { maxReclaimCount } })];
    for (let i = 0; i <= reclaims; i++) {
      events.push(
        claimed({ attemptType: i === 0 ? 'initial' : 'reclaim', attemptIndex: i, leaseEpoch: i + 1 }),
        event('lease_expired', { at: START + i }),
      );
    }
    return events;
  };

  test('work at its cap ends failed, with an event and in the answer', () => {
    given(...lapsed(1, 1))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'no_work', reclaimCapExceeded: [X] })
      .then({
        type: 'execution_failed',
        failureReason: 'max_reclaims_exceeded',
        failureCategory: 'max_reclaims_exceeded',
        purgeAt: slotEnd(NOW + RETENTION_MS),
      })
      .leaves({ situation: 'failed', currentLeaseId: undefined, leaseReclaimCount: 1 })
      .when('claimForWorker', claimArgs(), NOW)
      .answers({ kind: 'no_work', reclaimCapExceeded: [] });
  });

  test('losses within an hour of each other are recent', () => {
    const reclaimed = (attemptIndex: number, at: number) =>
      claimed({ attemptType: 'reclaim', attemptIndex, leaseEpoch: attemptIndex + 1, at, leaseExpiresAt: at + 1 });
    const lapse = (at: number) => event('lease_expired', { at });
    const hour = 3_600_000;
    const until = (...ats: number[]): Event[] => [
      ...lapsed(undefined, 0),
      ...ats.flatMap((at, index) => [reclaimed(index + 1, at), lapse(at + 1)]),
    ];
    const takes = (at: number, events: Event[]) => given(...events).when('claimForWorker', claimArgs(), at);
    const [first, second] = [START + 10, START + 20 + hour];
    takes(first, until()).leaves({ leaseReclaimCount: 1, recentLossCount: 1, lastLostAt: first });
    takes(first + hour, until(first)).leaves({ leaseReclaimCount: 2, recentLossCount: 2, lastLostAt: first + hour });
    takes(first + hour + 1, until(first)).leaves({ leaseReclaimCount: 2, recentLossCount: 1 });
    takes(second + 5, until(first, second)).leaves({ leaseReclaimCount: 3, recentLossCount: 2 });
  });

  test('a lost lease leaves its length: that of its last renewal, and until the next loss', () => {
    const renewed = event('lease_renewed', { at: START + 20_000, leaseExpiresAt: START + 27_000 });
    for (const [events, lostLeaseMs] of [
      [[], 30_000],
      [[renewed], 7_000],
    ] as const) {
      const lost = given(created(), claimed(), ...events);
      lost.when('markLeaseExpiredIfDue', { executionId: X }, START + 50_000).leaves({ lostLeaseMs });
      lost
        .when('revokeLease', { executionId: X, reason: 'r' }, START + 21_000)
        .leaves({ lostLeaseMs })
        .when('claimForWorker', claimArgs(), START + 22_000)
        .leaves({ situation: 'running', lostLeaseMs });
    }
  });

  test('work below its cap is reclaimed', () => {
    given(...lapsed(2, 1))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed', executions: [{ claimKind: 'reclaimed', attemptIndex: 2 }] });
    given(...lapsed(0, 0))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'no_work', reclaimCapExceeded: [X] });
  });

  test('without a policy the cap is 1 000', () => {
    given(...lapsed(undefined, 999))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed' });
    given(...lapsed(undefined, 1_000))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'no_work', reclaimCapExceeded: [X] });
  });

  test('other work of the same claim is taken', () => {
    given(...lapsed(0, 0), created({ executionId: idOf(2) }))
      .when('claimForWorker', claimArgs({ claims: minted(2) }))
      .answers({
        kind: 'claimed',
        executions: [{ executionId: idOf(2), leaseId: uuid(300) }],
        reclaimCapExceeded: [X],
      });
  });
});

describe('the attempt timeout', () => {
  const policy = { timeoutPolicy: { attemptTimeoutMs: 700 } };
  test('starts with every attempt', () => {
    given(created({ policy }))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed', executions: [{ attemptTimeoutAt: NOW + 700 }] });
    given(created({ policy }), claimed({ attemptTimeoutAt: START + 700 }), event('lease_expired'))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed', executions: [{ attemptTimeoutAt: NOW + 700 }] })
      .leaves({ attemptTimeoutAt: NOW + 700 });
  });

  test('stops while the attempt is parked', () => {
    given(created({ policy }), claimed({ attemptTimeoutAt: NOW + 300 }))
      .when('delayExecution', { executionId: X, fence: FENCE, delayUntil: NOW + 1_000_000 })
      .then({ type: 'execution_delayed', attemptTimeoutRemainingMs: 300 })
      .leaves({ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: 300 })
      .when('promoteDelayed', { executionId: X }, NOW + 1_000_000)
      .when('claimForWorker', claimArgs(), NOW + 1_000_050)
      .answers({ kind: 'claimed', executions: [{ claimKind: 'resumed', attemptTimeoutAt: NOW + 1_000_350 }] })
      .leaves({ attemptTimeoutRemainingMs: undefined });
  });
});
