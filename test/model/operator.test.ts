/** What operators and the engine do, by state: cancel, expire, revoke, notice a lapse, promote, purge. */
import { describe, expect, test } from 'vitest';
import {
  claimed,
  CLASSES,
  CLASSES_ALONE,
  created,
  DELAYED_UNTIL,
  event,
  FENCE,
  given,
  IN_CLASS,
  NOW,
  RETENTION_MS,
  slotEnd,
  START,
  uuid,
  X,
  type StateClass,
} from './dsl.js';

const isTerminal = (state: StateClass): boolean => state.startsWith('T');
/** Nobody has ever owned it. */
const isFresh = (state: StateClass): boolean => ['RW', 'DW', 'BW', 'BO'].includes(state);
const isActive = (state: StateClass): boolean => state.startsWith('A');

describe('cancelExecution', () => {
  test.each(CLASSES_ALONE)('by an operator in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('cancelExecution', {
      executionId: X,
      reason: 'why',
      source: 'operator_override',
    });
    if (state === 'none') result.refuses('execution_not_found');
    else if (isTerminal(state)) result.refuses('execution_not_active', { lifecyclePhase: 'terminal' });
    else {
      result
        .answers({ kind: 'cancelled', publicState: 'cancelled' })
        .then({
          type: 'execution_cancelled',
          cancellationReason: 'why',
          cancelledBy: 'operator_override',
          purgeAt: slotEnd(NOW + RETENTION_MS),
        })
        .leaves({
          currentLeaseId: undefined,
          currentWorkerId: undefined,
          leaseRevokeReason: '',
          nextAttempt: 'first',
          attemptTimeoutAt: undefined,
        })
        .leavesState({
          terminalOutcome: 'cancelled',
          attemptState: isFresh(state) ? 'none' : 'attempt_terminal',
        });
    }
  });

  test.each(CLASSES_ALONE)('by the last owner in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('cancelExecution', { executionId: X, reason: 'why', ...FENCE });
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'Tcancelled') result.answers({ kind: 'cancelled' }).nothingHappens();
    else if (isTerminal(state)) result.refuses('execution_not_active');
    else if (state === 'AR') result.refuses('lease_revoked');
    // Nobody ever owned it.
    else if (isFresh(state)) result.refuses('stale_lease');
    else result.answers({ kind: 'cancelled' }).then({ type: 'execution_cancelled', cancelledBy: 'lease_holder' });
  });

  test.each(['flow_cascade', 'system_timeout'] as const)('%s needs no fence, and is recorded', (source) => {
    for (const state of ['RW', 'DW', 'AL', 'AR', 'BO'] as const) {
      given(...IN_CLASS[state])
        .when('cancelExecution', { executionId: X, reason: 'why', source })
        .then({ type: 'execution_cancelled', cancelledBy: source });
    }
  });

  test('needs the whole fence unless an operator calls', () => {
    for (const state of ['AL', 'AX', 'RI', 'Tcompleted'] as const) {
      given(...IN_CLASS[state])
        .when('cancelExecution', { executionId: X, reason: 'r' })
        .refuses('fence_required');
      given(...IN_CLASS[state])
        .when('cancelExecution', { executionId: X, reason: 'r', leaseId: FENCE.leaseId })
        .refuses('partial_fence_triple');
    }
  });

  test('compares the attempt as well as the lease', () => {
    given(...IN_CLASS.AL)
      .when('cancelExecution', { executionId: X, reason: 'r', ...FENCE, attemptId: uuid(999) })
      .refuses('stale_lease');
    given(...IN_CLASS.AE)
      .when('cancelExecution', { executionId: X, reason: 'r', ...FENCE, leaseId: uuid(999) })
      .refuses('stale_lease');
  });
});

describe('revokeLease', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('revokeLease', { executionId: X });
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'AE') result.answers({ kind: 'already_satisfied', reason: 'already_expired' }).nothingHappens();
    else if (state === 'AR') result.answers({ kind: 'already_satisfied', reason: 'already_revoked' }).nothingHappens();
    else if (!isActive(state)) result.refuses('execution_not_active');
    else {
      result
        .answers({ kind: 'revoked', leaseId: FENCE.leaseId, leaseEpoch: 1 })
        .then({ type: 'lease_revoked', reason: 'operator', at: NOW })
        .leaves({ currentLeaseId: FENCE.leaseId, currentWorkerInstanceId: 'w-1', lastTransitionAt: NOW })
        .leavesState({
          ownershipState: 'lease_revoked',
          attemptState: 'attempt_interrupted',
          blockingReason: 'waiting_for_worker',
          publicState: 'active',
        });
    }
  });

  test('of another lease is refused', () => {
    given(...IN_CLASS.AL)
      .when('revokeLease', { executionId: X, expectedLeaseId: uuid(999) })
      .refuses('stale_lease');
    given(...IN_CLASS.AL)
      .when('revokeLease', { executionId: X, expectedLeaseId: FENCE.leaseId })
      .answers({ kind: 'revoked' });
  });
});

describe('markLeaseExpiredIfDue', () => {
  const ANSWERS: Partial<Record<StateClass, string>> = {
    none: 'execution_not_found',
    AL: 'not_yet_expired',
    AE: 'already_expired',
    AR: 'already_revoked',
  };
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('markLeaseExpiredIfDue', { executionId: X });
    if (state !== 'AX')
      result.answers({ kind: 'already_satisfied', reason: ANSWERS[state] ?? 'not_active' }).nothingHappens();
    else {
      result
        .answers({ kind: 'marked_expired' })
        .then({ type: 'lease_expired', at: NOW })
        .leaves({ dueAt: NOW, lastTransitionAt: NOW, currentLeaseId: FENCE.leaseId })
        .leavesState({
          ownershipState: 'lease_expired_reclaimable',
          attemptState: 'attempt_interrupted',
          blockingReason: 'waiting_for_worker',
        });
    }
  });
});

describe('promoteDelayed', () => {
  test.each(CLASSES)('in %s, when the delay is over', (state) => {
    const result = given(...IN_CLASS[state]).when('promoteDelayed', { executionId: X }, DELAYED_UNTIL);
    if (state === 'none') result.answers({ kind: 'already_satisfied', reason: 'not_found' }).nothingHappens();
    else if (/^[RBW]/.test(state))
      result.answers({ kind: 'already_satisfied', reason: 'not_delayed' }).nothingHappens();
    else if (state !== 'DW' && state !== 'DI')
      result.answers({ kind: 'already_satisfied', reason: 'not_runnable' }).nothingHappens();
    else {
      result
        .answers({ kind: 'promoted' })
        .then({ type: 'execution_promoted' })
        .leaves({ situation: 'ready', dueAt: undefined, createdAt: START })
        .leavesState({
          attemptState: state === 'DI' ? 'attempt_interrupted' : 'pending_first_attempt',
          publicState: 'waiting',
        });
    }
  });

  test('one millisecond early', () => {
    given(...IN_CLASS.DW)
      .when('promoteDelayed', { executionId: X }, DELAYED_UNTIL - 1)
      .answers({ kind: 'not_yet_due', delayUntil: DELAYED_UNTIL })
      .nothingHappens();
  });
});

describe('expireExecution', () => {
  const DEADLINE = NOW;
  test.each(CLASSES_ALONE)('at the deadline in %s', (state) => {
    const [first, ...rest] = IN_CLASS[state];
    const events = first === undefined ? [] : [{ ...first, executionDeadlineAt: DEADLINE } as typeof first, ...rest];
    const result = given(...events).when(
      'expireExecution',
      { executionId: X, expireReason: 'execution_deadline' },
      DEADLINE,
    );
    if (state === 'none' || isTerminal(state)) result.answers({ kind: 'already_terminal' }).nothingHappens();
    else {
      result
        .answers({ kind: 'expired', executionId: X })
        .then({ type: 'execution_expired', expireReason: 'execution_deadline' })
        .leaves({
          failureReason: 'execution_deadline',
          failureCategory: 'timeout',
          currentLeaseId: undefined,
          attemptTimeoutRemainingMs: undefined,
        });
    }
  });

  test('checks whether it is due', () => {
    const world = [created({ executionDeadlineAt: NOW }), claimed({ attemptTimeoutAt: NOW + 10 })];
    given(...world)
      .when('expireExecution', { executionId: X, expireReason: 'execution_deadline' }, NOW - 1)
      .answers({ kind: 'not_yet_due' })
      .nothingHappens();
    given(...world)
      .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' }, NOW + 9)
      .answers({ kind: 'not_yet_due' })
      .nothingHappens();
    given(...world)
      .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' }, NOW + 10)
      .answers({ kind: 'expired' });
    given(created())
      .when('expireExecution', { executionId: X, expireReason: 'execution_deadline' }, NOW * 2)
      .answers({ kind: 'not_yet_due' });
  });

  test('does not apply an attempt timeout to a parked attempt', () => {
    given(
      created(),
      claimed({ attemptTimeoutAt: START + 1 }),
      event('execution_delayed', { delayUntil: DELAYED_UNTIL, attemptTimeoutRemainingMs: 0 }),
    )
      .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' }, NOW)
      .answers({ kind: 'not_yet_due' })
      .nothingHappens();
  });

  test('applies an attempt timeout to an attempt whose lease lapsed or was revoked', () => {
    for (const lapse of [event('lease_expired'), event('lease_revoked', { reason: 'r' })]) {
      given(created(), claimed({ attemptTimeoutAt: NOW }), lapse)
        .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' })
        .answers({ kind: 'expired' });
    }
  });

  test('records an attempt timeout as a failure of category timeout, which may be retried', () => {
    const backoff = { type: 'fixed', delayMs: 250 } as const;
    const timedOut = (retryableCategories: string[], maxRetries: number) =>
      given(
        created({ policy: { retryPolicy: { maxRetries, backoff, retryableCategories } } }),
        claimed({ attemptTimeoutAt: NOW }),
      ).when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' });
    timedOut([], 1)
      .answers({ kind: 'retry_scheduled', delayUntil: NOW + 250, nextAttemptIndex: 1 })
      .then({ type: 'retry_scheduled', failureReason: 'attempt_timeout', failureCategory: 'timeout' })
      .leaves({ situation: 'retry_backoff', retryCount: 1 });
    timedOut(['timeout'], 1).answers({ kind: 'retry_scheduled' });
    timedOut(['io'], 1).answers({ kind: 'expired' });
    timedOut([], 0).answers({ kind: 'expired' });
  });
});

describe('purgeExecution', () => {
  test.each(CLASSES_ALONE)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('purgeExecution', { executionId: X }, START + 1_000_000_000);
    if (state === 'none') result.answers({ kind: 'already_satisfied', reason: 'not_found' }).nothingHappens();
    else if (!isTerminal(state)) result.answers({ kind: 'already_satisfied', reason: 'not_terminal' }).nothingHappens();
    else result.answers({ kind: 'purged' }).then({ type: 'execution_purged' }).leavesNothing();
  });

  test('one millisecond early', () => {
    given(...IN_CLASS.Tcompleted)
      .when('purgeExecution', { executionId: X }, START + 999_999_999)
      .answers({ kind: 'not_yet_due', purgeAt: START + 1_000_000_000 })
      .nothingHappens();
  });

  test('removes payload and result', () => {
    const { machineBytes, readBack } = purgedStory();
    expect(machineBytes).toEqual({ payload: 3, result: 2 });
    expect(readBack).toMatchObject({ outcome: undefined });
  });

  function purgedStory() {
    const done = given(created())
      .when('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' })
      .when(
        'createExecution',
        {
          executionId: idOfSecond,
          namespace: 'n',
          laneId: 'lane',
          executionKind: 'k',
          creatorIdentity: 'c',
          inputPayload: new Uint8Array(3),
          policy: { streamPolicy: { retentionTtlMs: 0 } },
        },
        NOW,
      )
      .when(
        'claimForWorker',
        {
          partition: '{fp:0}',
          laneId: 'lane',
          workerId: 'w',
          workerInstanceId: 'w',
          claims: [{ leaseId: FENCE.leaseId, attemptId: FENCE.attemptId }],
        },
        NOW,
      )
      .when('completeExecution', { executionId: idOfSecond, fence: FENCE, resultPayload: new Uint8Array(2) }, NOW);
    const context = done.reads('readExecutionContext', { executionId: idOfSecond }, NOW) as {
      outcome: { inputPayload: Uint8Array };
    };
    const result = done.reads('getExecutionResult', { executionId: idOfSecond }, NOW) as { outcome: Uint8Array };
    const purged = done
      .when('purgeExecution', { executionId: idOfSecond }, slotEnd(NOW + 60_000))
      .answers({ kind: 'purged' });
    return {
      machineBytes: { payload: context.outcome.inputPayload.byteLength, result: result.outcome.byteLength },
      readBack: purged.reads('getExecutionResult', { executionId: idOfSecond }, NOW),
    };
  }
  const idOfSecond = `{fp:0}:${uuid(2)}`;
});
