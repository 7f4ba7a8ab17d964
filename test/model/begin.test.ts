/** Claims ahead of their handlers, and the beginning of an attempt: its time runs when its handler can run. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../model/limits.js';
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
} from './dsl.js';

const TIMEOUT_MS = 700;
const policy = { timeoutPolicy: { attemptTimeoutMs: TIMEOUT_MS } };
const BEGIN: ArgsOf<'beginAttempt'> = { executionId: X, fence: FENCE };
/** X, claimed ahead by the owner of FENCE. */
const AHEAD = [created({ policy }), claimed({ attemptTimeoutRemainingMs: TIMEOUT_MS })];

describe('a claim ahead', () => {
  test('arms no attempt timeout, and stores it for later', () => {
    given(created({ policy }))
      .when('claimForWorker', claimArgs({ ahead: true }))
      .answers({
        kind: 'claimed',
        executions: [{ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: TIMEOUT_MS, claimKind: 'fresh' }],
      })
      .then({ type: 'execution_claimed', attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: TIMEOUT_MS })
      .leaves({ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: TIMEOUT_MS, dueAt: NOW + 5_000 });
  });

  test('of work without a timeout keeps nothing', () => {
    given(created())
      .when('claimForWorker', claimArgs({ ahead: true }))
      .answers({ kind: 'claimed', executions: [{ attemptTimeoutRemainingMs: undefined }] })
      .then({ type: 'execution_claimed', attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: undefined });
  });

  test('of an interrupted attempt keeps the rest of its time', () => {
    given(
      created({ policy }),
      claimed({ attemptTimeoutAt: START + TIMEOUT_MS }),
      event('lease_released', { attemptTimeoutRemainingMs: 300 }),
    )
      .when('claimForWorker', claimArgs({ ahead: true }))
      .answers({ kind: 'claimed', executions: [{ claimKind: 'resumed', attemptTimeoutAt: undefined }] })
      .then({ type: 'execution_resumed', attemptTimeoutRemainingMs: 300 })
      .leaves({ attemptTimeoutRemainingMs: 300 });
  });

  test('of lapsed work starts with all of its time', () => {
    given(...AHEAD, event('lease_expired'))
      .when('claimForWorker', claimArgs({ ahead: true }))
      .answers({ kind: 'claimed', executions: [{ claimKind: 'reclaimed', attemptTimeoutAt: undefined }] })
      .leaves({ attemptTimeoutRemainingMs: TIMEOUT_MS, attemptTimeoutAt: undefined });
    given(...AHEAD, event('lease_expired'))
      .when('claimForWorker', claimArgs())
      .answers({ kind: 'claimed', executions: [{ attemptTimeoutAt: NOW + TIMEOUT_MS }] })
      .leaves({ attemptTimeoutRemainingMs: undefined });
  });

  test('does not time out, and lapses like any other', () => {
    given(...AHEAD)
      .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' }, START + 29_999)
      .answers({ kind: 'not_yet_due' })
      .when('completeExecution', { executionId: X, fence: FENCE }, START + 30_000)
      .refuses('lease_expired')
      .when('markLeaseExpiredIfDue', { executionId: X }, START + 30_000)
      .answers({ kind: 'marked_expired' });
  });

  test('is handed back, or parked, with its whole time', () => {
    given(...AHEAD)
      .when('releaseLease', { executionId: X, fence: FENCE })
      .then({ type: 'lease_released', attemptTimeoutRemainingMs: TIMEOUT_MS })
      .when('claimForWorker', claimArgs(), NOW + 1)
      .answers({ kind: 'claimed', executions: [{ claimKind: 'resumed', attemptTimeoutAt: NOW + 1 + TIMEOUT_MS }] });
    given(...AHEAD)
      .when('delayExecution', { executionId: X, fence: FENCE, delayUntil: DELAYED_UNTIL })
      .then({ type: 'execution_delayed', attemptTimeoutRemainingMs: TIMEOUT_MS });
  });
});

describe('beginAttempt', () => {
  test('starts the timeout of a fresh attempt', () => {
    given(...AHEAD)
      .when('beginAttempt', BEGIN)
      .answers({ kind: 'begun', attemptTimeoutAt: NOW + TIMEOUT_MS })
      .then({ type: 'attempt_begun', at: NOW, attemptTimeoutAt: NOW + TIMEOUT_MS })
      .leaves({ attemptTimeoutAt: NOW + TIMEOUT_MS, attemptTimeoutRemainingMs: undefined, dueAt: START + 30_000 })
      .leavesState({ attemptState: 'running_attempt', ownershipState: 'leased' });
  });

  test('of a resumed attempt continues with the rest of its time', () => {
    given(
      created({ policy }),
      claimed({ attemptTimeoutAt: START + TIMEOUT_MS }),
      event('lease_released', { attemptTimeoutRemainingMs: 300 }),
    )
      .when('claimForWorker', claimArgs({ ahead: true }))
      .when(
        'beginAttempt',
        { executionId: X, fence: { leaseId: uuid(102), leaseEpoch: 2, attemptId: FENCE.attemptId } },
        NOW + 50,
      )
      .answers({ kind: 'begun', attemptTimeoutAt: NOW + 350 });
  });

  test('is answered with the same time when it is repeated, and moves nothing', () => {
    given(...AHEAD)
      .when('beginAttempt', BEGIN)
      .when('beginAttempt', BEGIN, NOW + 500)
      .answers({ kind: 'begun', attemptTimeoutAt: NOW + TIMEOUT_MS })
      .nothingHappens();
  });

  test('of an attempt whose time runs since its claim answers that time', () => {
    given(created({ policy }), claimed({ attemptTimeoutAt: NOW + 200 }))
      .when('beginAttempt', BEGIN)
      .answers({ kind: 'begun', attemptTimeoutAt: NOW + 200 })
      .nothingHappens();
  });

  test('without a timeout changes nothing', () => {
    given(created(), claimed())
      .when('beginAttempt', BEGIN)
      .answers({ kind: 'begun', attemptTimeoutAt: undefined })
      .nothingHappens();
  });

  test('with no time left begins an attempt that is over', () => {
    given(created({ policy }), claimed({ attemptTimeoutRemainingMs: 0 }))
      .when('beginAttempt', BEGIN)
      .answers({ kind: 'begun', attemptTimeoutAt: NOW })
      .when('completeExecution', { executionId: X, fence: FENCE }, NOW)
      .refuses('attempt_timed_out');
  });

  test('never goes beyond the largest time', () => {
    given(created(), claimed({ attemptTimeoutRemainingMs: LIMITS.maxInteger }))
      .when('beginAttempt', BEGIN)
      .answers({ kind: 'begun', attemptTimeoutAt: LIMITS.maxInteger });
  });

  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('beginAttempt', BEGIN);
    if (state === 'none') result.refuses('execution_not_found');
    else if (state === 'AL') result.answers({ kind: 'begun' });
    else if (state === 'AX' || state === 'AE') result.refuses('lease_expired');
    else if (state === 'AR') result.refuses('lease_revoked');
    else result.refuses('execution_not_active');
  });

  test.each([
    [{ ...FENCE, leaseId: uuid(999) }, 'stale_lease'],
    [{ ...FENCE, leaseEpoch: 2 }, 'stale_lease'],
    [{ ...FENCE, attemptId: uuid(999) }, 'stale_lease'],
    [{ leaseId: FENCE.leaseId }, 'partial_fence_triple'],
    [undefined, 'fence_required'],
  ] as const)('by %j is refused with %s', (fence, code) => {
    given(...AHEAD)
      .when('beginAttempt', { executionId: X, ...(fence === undefined ? {} : { fence }) })
      .refuses(code)
      .leaves({ attemptTimeoutRemainingMs: TIMEOUT_MS });
  });

  test('of an attempt that has timed out, or whose execution is over, is refused', () => {
    given(created({ policy }), claimed({ attemptTimeoutAt: NOW }))
      .when('beginAttempt', BEGIN)
      .refuses('attempt_timed_out');
    given(created({ policy, executionDeadlineAt: NOW }), claimed({ attemptTimeoutRemainingMs: TIMEOUT_MS }))
      .when('beginAttempt', BEGIN)
      .refuses('execution_deadline_passed');
  });

  test('leaves room for a whole attempt after a long wait ahead', () => {
    const decision = given(...AHEAD)
      .when('beginAttempt', BEGIN, START + 29_000)
      .when('completeExecution', { executionId: X, fence: FENCE }, START + 29_000 + TIMEOUT_MS - 1).decision;
    expect(decision).toMatchObject({ ok: true, outcome: { kind: 'completed' } });
  });
});
