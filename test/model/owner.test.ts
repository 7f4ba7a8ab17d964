/** What an owner may do, by state: the table of owner operations, the verdict on fences, and repeated final calls. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ArgsOf } from '../../model/machine.js';
import {
  claimArgs,
  claimed,
  CLASSES,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  START,
  uuid,
  X,
  type StateClass,
} from './dsl.js';

const CALLS = {
  completeExecution: { executionId: X, fence: FENCE },
  failExecution: { executionId: X, fence: FENCE, failureReason: 'r' },
  delayExecution: { executionId: X, fence: FENCE, delayUntil: DELAYED_UNTIL },
  renewLease: { executionId: X, fence: FENCE, leaseTtlMs: 60_000 },
  releaseLease: { executionId: X, fence: FENCE },
  updateProgress: { executionId: X, ...FENCE, progressPct: 10 },
} satisfies { [Name in string]: object };
type Call = keyof typeof CALLS;
const NAMES = Object.keys(CALLS) as Call[];

const call = (name: Call, state: StateClass, change: object = {}) =>
  given(...IN_CLASS[state]).when(name, { ...CALLS[name], ...change } as ArgsOf<typeof name>);

const KIND: Record<Call, string> = {
  completeExecution: 'completed',
  failExecution: 'terminal_failed',
  delayExecution: 'delayed',
  renewLease: 'renewed',
  releaseLease: 'released',
  updateProgress: 'updated',
};

/** Where the same call, repeated by the last owner, gets its first answer again. */
const REPEATED: Partial<Record<Call, readonly StateClass[]>> = {
  completeExecution: ['Tcompleted'],
  failExecution: ['Tfailed'],
  delayExecution: ['DI'],
  // Blocked since.
  releaseLease: ['RI', 'BI'],
};

describe('the table of owner operations', () => {
  for (const name of NAMES) {
    test.each(CLASSES)(`${name} in %s`, (state) => {
      const result = call(name, state);
      if (state === 'none') result.refuses('execution_not_found');
      else if (state === 'AL') result.answers({ kind: KIND[name] });
      else if (state === 'AX' || state === 'AE') result.refuses('lease_expired');
      else if (state === 'AR') result.refuses('lease_revoked');
      else if (REPEATED[name]?.includes(state) === true) result.answers({ kind: KIND[name] }).nothingHappens();
      else result.refuses('execution_not_active');
    });
  }
});

describe('the check of a fence', () => {
  const FENCED = NAMES.filter((name) => name !== 'updateProgress');
  const partial = [
    { leaseId: FENCE.leaseId },
    { leaseEpoch: 1 },
    { attemptId: FENCE.attemptId },
    { leaseId: FENCE.leaseId, leaseEpoch: 1 },
    { leaseEpoch: 1, attemptId: FENCE.attemptId },
  ];

  test.each(FENCED)('%s refuses a partial triple before it looks at the state', (name) => {
    for (const fence of partial)
      for (const state of ['AL', 'AX', 'AR', 'RW', 'Tcompleted'] as const)
        call(name, state, { fence }).refuses('partial_fence_triple');
  });

  test.each(FENCED)('%s is refused without a fence', (name) => {
    for (const state of ['AL', 'AX', 'AR', 'RW', 'Tcompleted'] as const) {
      call(name, state, { fence: undefined }).refuses('fence_required');
      call(name, state, { fence: {} }).refuses('fence_required');
    }
  });

  test.each(['completeExecution', 'failExecution', 'delayExecution'] as const)(
    '%s lets an operator act on owned work only',
    (name) => {
      const change = { fence: undefined, source: 'operator_override' };
      call(name, 'AL', change).answers({ kind: KIND[name] });
      call(name, 'AX', change).refuses('lease_expired');
      call(name, 'AE', change).refuses('lease_expired');
      call(name, 'AR', change).refuses('lease_revoked');
      for (const state of ['RW', 'RI', 'DW', 'DI', 'Tcompleted', 'Tfailed'] as const)
        call(name, state, change).refuses('execution_not_active');
    },
  );

  test.each(['renewLease', 'releaseLease'] as const)('%s is not for operators', (name) => {
    call(name, 'AL', { fence: undefined }).refuses('fence_required');
    expect(() => call(name, 'AL', { fence: undefined, source: 'operator_override' })).toThrow(
      'unknown member "source"',
    );
  });

  test.each(NAMES)('%s refuses another lease, another epoch, another attempt', (name) => {
    for (const wrong of [{ leaseId: uuid(999) }, { leaseEpoch: 2 }, { leaseEpoch: 0 }, { attemptId: uuid(999) }]) {
      const fence = { ...FENCE, ...wrong };
      call(name, 'AL', name === 'updateProgress' ? fence : { fence }).refuses('stale_lease');
    }
  });

  test.each(FENCED)('%s compares the attempt index when it is given', (name) => {
    call(name, 'AL', { attemptIndex: 0 }).answers({ kind: KIND[name] });
    call(name, 'AL', { attemptIndex: 1 }).refuses('stale_lease');
  });

  test('the state is checked before the identity: any caller learns of a lapse', () => {
    const fence = { leaseId: uuid(999), leaseEpoch: 9, attemptId: uuid(998) };
    call('completeExecution', 'AX', { fence }).refuses('lease_expired');
    call('completeExecution', 'AR', { fence }).refuses('lease_revoked');
  });

  test('a lease is over at its expiry time', () => {
    const world = [created(), claimed({ leaseExpiresAt: NOW })];
    given(...world)
      .when('renewLease', CALLS.renewLease, NOW - 1)
      .answers({ kind: 'renewed' });
    given(...world)
      .when('renewLease', CALLS.renewLease, NOW)
      .refuses('lease_expired');
  });

  test('the old owner is refused after another one took over', () => {
    const reclaimed = [
      ...IN_CLASS.AE,
      claimed({
        at: START + 3_000,
        attemptType: 'reclaim',
        attemptIndex: 1,
        leaseId: uuid(102),
        leaseEpoch: 2,
        attemptId: uuid(202),
        leaseExpiresAt: NOW + 1,
      }),
    ];
    given(...reclaimed)
      .when('completeExecution', CALLS.completeExecution)
      .refuses('stale_lease');
    given(...reclaimed)
      .when('completeExecution', CALLS.completeExecution, NOW + 1)
      .refuses('lease_expired');
    given(...reclaimed, event('lease_revoked', { reason: 'r' }))
      .when('completeExecution', CALLS.completeExecution)
      .refuses('lease_revoked');
  });

  test('the refusal of inactive work has the facts with which a caller reconciles', () => {
    call('renewLease', 'Tfailed').refuses('execution_not_active', {
      terminalOutcome: 'failed',
      leaseEpoch: '1',
      lifecyclePhase: 'terminal',
      attemptId: FENCE.attemptId,
      attemptState: 'attempt_terminal',
    });
    call('renewLease', 'RW').refuses('execution_not_active', {
      terminalOutcome: 'none',
      leaseEpoch: '0',
      lifecyclePhase: 'runnable',
      attemptId: '',
      attemptState: 'pending_first_attempt',
    });
  });
});

describe('repeated final calls', () => {
  test('a completion is recognised by epoch and attempt; the lease id does not matter', () => {
    call('completeExecution', 'Tcompleted', { fence: { ...FENCE, leaseId: uuid(999) } })
      .answers({ kind: 'completed' })
      .nothingHappens();
    call('completeExecution', 'Tcompleted', { fence: { ...FENCE, leaseEpoch: 2 } }).refuses('execution_not_active');
    call('completeExecution', 'Tcompleted', { fence: { ...FENCE, attemptId: uuid(999) } }).refuses(
      'execution_not_active',
    );
    call('completeExecution', 'Tcompleted', { fence: undefined, source: 'operator_override' }).refuses(
      'execution_not_active',
    );
  });

  test('a failure that scheduled a retry answers the same time again, also after the backoff', () => {
    const backoff = [
      created(),
      claimed(),
      event('retry_scheduled', {
        at: START + 1_000,
        failureReason: 'r',
        failureCategory: 'transient',
        delayUntil: START + 9_000,
      }),
    ];
    given(...backoff)
      .when('failExecution', CALLS.failExecution)
      .answers({ kind: 'retry_scheduled', delayUntil: START + 9_000, nextAttemptIndex: 1 })
      .nothingHappens();
    const promoted = given(...backoff, event('execution_promoted', { at: START + 9_400 }));
    const blocked = promoted.when(
      'blockExecutionForAdmission',
      { executionId: X, blockingReason: 'waiting_for_budget' },
      START + 9_450,
    );
    for (const later of [promoted, blocked])
      later
        .when('failExecution', CALLS.failExecution, START + 9_500)
        .answers({ kind: 'retry_scheduled', delayUntil: START + 9_000, nextAttemptIndex: 1 })
        .nothingHappens();
    // The delay is over.
    expect(blocked.reads('readExecutionInfo', { executionId: X }, NOW)).toMatchObject({
      outcome: { delayUntil: undefined },
    });
  });

  test('a failure that is sent after a park or a hand-back is not a repetition', () => {
    call('failExecution', 'DI').refuses('execution_not_active');
    call('failExecution', 'RI').refuses('execution_not_active');
  });

  test('a delay is recognised by its time too', () => {
    call('delayExecution', 'DI').answers({ kind: 'delayed' }).nothingHappens();
    call('delayExecution', 'DI', { delayUntil: DELAYED_UNTIL + 1 }).refuses('execution_not_active');
    call('delayExecution', 'DI', { fence: { ...FENCE, leaseEpoch: 2 } }).refuses('execution_not_active');
  });

  test('a cancellation by the last owner is recognised', () => {
    given(...IN_CLASS.Tcancelled)
      .when('cancelExecution', { executionId: X, reason: 'r', ...FENCE })
      .answers({ kind: 'cancelled' })
      .nothingHappens();
    given(...IN_CLASS.Tcancelled)
      .when('cancelExecution', { executionId: X, reason: 'r', ...FENCE, leaseEpoch: 2 })
      .refuses('execution_not_active');
  });
});

describe('renewing', () => {
  test('extends the lease and never shortens it', () => {
    given(created(), claimed({ leaseExpiresAt: START + 30_000 }))
      .when('renewLease', { executionId: X, fence: FENCE, leaseTtlMs: 1_000 })
      .answers({ kind: 'renewed', expiresAt: START + 30_000 })
      .when('renewLease', { executionId: X, fence: FENCE, leaseTtlMs: 60_000 }, NOW)
      .answers({ kind: 'renewed', expiresAt: NOW + 60_000 })
      .then({ type: 'lease_renewed', leaseExpiresAt: NOW + 60_000 })
      .leaves({ currentLeaseEpoch: 1, leaseLastRenewedAt: NOW, lastTransitionAt: START });
  });
});

describe('a delay that has passed', () => {
  const later = DELAYED_UNTIL + 1;
  const promoted = [...IN_CLASS.DI, event('execution_promoted', { at: later })];
  const block = event('execution_blocked', { at: later, blockingReason: 'waiting_for_budget', blockingDetail: '' });
  const again = (events: readonly Event[], change: object = {}) =>
    given(...events).when('delayExecution', { ...CALLS.delayExecution, ...change }, later);

  test('is answered as before when its worker repeats the call, until a worker claims the execution', () => {
    again(promoted).answers({ kind: 'delayed', publicState: 'delayed' }).nothingHappens();
    again([...promoted, block])
      .answers({ kind: 'delayed' })
      .nothingHappens();
    again([...promoted, claimed({ type: 'execution_resumed', leaseEpoch: 2 } as never)]).refuses('stale_lease');
  });

  test('answers no other call', () => {
    again(promoted, { fence: { ...FENCE, leaseEpoch: 2 } }).refuses('execution_not_active');
    again(promoted, { delayUntil: later + 1 }).refuses('execution_not_active');
    again([...IN_CLASS.DI, event('execution_cancelled', { cancellationReason: '', cancelledBy: 'ann' })]).refuses(
      'execution_not_active',
    );
  });
});

describe('handing back', () => {
  test('keeps the attempt and the rest of its time, and the next claim continues it', () => {
    given(created(), claimed({ attemptTimeoutAt: NOW + 700 }))
      .when('releaseLease', CALLS.releaseLease)
      .answers({ kind: 'released', publicState: 'waiting' })
      .then({ type: 'lease_released', attemptTimeoutRemainingMs: 700 })
      .leavesState({ attemptState: 'attempt_interrupted', eligibilityState: 'eligible_now', ownershipState: 'unowned' })
      .when('claimForWorker', claimArgs(), NOW + 100)
      .answers({
        kind: 'claimed',
        executions: [
          {
            claimKind: 'resumed',
            attemptId: FENCE.attemptId,
            attemptIndex: 0,
            leaseEpoch: 2,
            leaseId: uuid(102),
            attemptTimeoutAt: NOW + 800,
          },
        ],
      })
      .then({ type: 'execution_resumed' })
      .leaves({ totalAttemptCount: 1, retryCount: 0, leaseReleaseCount: 1 });
  });

  test('is capped by the policy', () => {
    const world = [
      created({ policy: { maxReleaseCount: 1 } }),
      claimed(),
      event('lease_released'),
      claimed({ type: 'execution_resumed', leaseEpoch: 2 } as never),
    ];
    given(...world)
      .when('releaseLease', { executionId: X, fence: { ...FENCE, leaseEpoch: 2 } })
      .refuses('max_releases_exceeded');
    given(created({ policy: { maxReleaseCount: 0 } }), claimed())
      .when('releaseLease', CALLS.releaseLease)
      .refuses('max_releases_exceeded');
  });
});

describe('progress', () => {
  test('keeps absent members, and a new attempt begins without progress', () => {
    given(created(), claimed())
      .when('updateProgress', { executionId: X, ...FENCE, progressPct: 40, progressMessage: 'copying' }, NOW)
      .leaves({ progressPct: 40, progressMessage: 'copying', progressUpdatedAt: NOW })
      .when('updateProgress', { executionId: X, ...FENCE }, NOW + 1)
      .leaves({ progressPct: 40, progressMessage: 'copying', progressUpdatedAt: NOW + 1 })
      .when('updateProgress', { executionId: X, ...FENCE, progressPct: 0, progressMessage: '' }, NOW + 2)
      .leaves({ progressPct: 0, progressMessage: 'copying' })
      .when('revokeLease', { executionId: X }, NOW + 3)
      .when('claimForWorker', claimArgs(), NOW + 4)
      .answers({ kind: 'claimed' })
      .leaves({ progressPct: undefined, progressMessage: undefined, progressUpdatedAt: undefined });
  });
});

describe('completing', () => {
  test('stores exactly the given bytes, and clears an earlier failure', () => {
    const retried = [
      created(),
      claimed(),
      event('retry_scheduled', { failureReason: 'r', failureCategory: 'io', delayUntil: START + 1 }),
      event('execution_promoted', { at: START + 1 }),
      claimed({ at: START + 2, attemptType: 'retry', attemptIndex: 1, leaseEpoch: 2 }),
    ];
    const done = given(...retried)
      .when('completeExecution', {
        executionId: X,
        fence: { ...FENCE, leaseEpoch: 2 },
        resultPayload: new Uint8Array(0),
        resultEncoding: 'raw',
      })
      .then({ type: 'execution_completed', resultBytes: 0, resultEncoding: 'raw' })
      .leaves({ failureReason: '', failureCategory: undefined, resultBytes: 0, startedAt: START })
      .leavesState({
        lifecyclePhase: 'terminal',
        terminalOutcome: 'success',
        publicState: 'completed',
        attemptState: 'attempt_terminal',
      });
    expect(done.reads('getExecutionResult', { executionId: X }, NOW)).toMatchObject({ outcome: new Uint8Array(0) });
    const without = given(created(), claimed())
      .when('completeExecution', CALLS.completeExecution)
      .leaves({ resultBytes: undefined });
    expect(without.reads('getExecutionResult', { executionId: X }, NOW)).toMatchObject({ outcome: undefined });
  });
});
