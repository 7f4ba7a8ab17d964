/** Time ends an attempt and an execution, whether that was noticed or not: one millisecond before, at, and after. */
import { describe, test } from 'vitest';
import type { ArgsOf, OperationName } from '../../model/machine.js';
import { claimed, created, DELAYED_UNTIL, event, FENCE, given, NOW, uuid, X } from './dsl.js';

/** Calls by which an owner works: refused once the time is over. */
const WORK = {
  completeExecution: { executionId: X, fence: FENCE },
  failExecution: { executionId: X, fence: FENCE, failureReason: 'r' },
  delayExecution: { executionId: X, fence: FENCE, delayUntil: DELAYED_UNTIL },
  renewLease: { executionId: X, fence: FENCE },
  updateProgress: { executionId: X, ...FENCE, progressPct: 10 },
  beginAttempt: { executionId: X, fence: FENCE },
} satisfies { [Name in OperationName]?: object };
const WORKING = Object.keys(WORK) as (keyof typeof WORK)[];

/** Calls by which an owner gives up: good as long as its lease is. */
const GIVING_UP = {
  cancelExecution: { executionId: X, reason: 'r', ...FENCE },
  releaseLease: { executionId: X, fence: FENCE },
} satisfies { [Name in OperationName]?: object };
const LEAVING = Object.keys(GIVING_UP) as (keyof typeof GIVING_UP)[];

const OVER = NOW;
const BOUNDS = [
  ['attempt_timed_out', [created(), claimed({ attemptTimeoutAt: OVER })]],
  ['execution_deadline_passed', [created({ executionDeadlineAt: OVER }), claimed()]],
] as const;

describe.each(BOUNDS)('%s', (code, world) => {
  describe.each(WORKING)('%s', (name) => {
    const call = (at: number) => given(...world).when(name, WORK[name] as ArgsOf<typeof name>, at);
    test('is in time one millisecond before', () => void call(OVER - 1).answers({}));
    test('is too late at that time', () => void call(OVER).refuses(code));
    test('is too late afterwards', () => void call(OVER + 1).refuses(code));
  });

  test.each(LEAVING)('%s is allowed at any time of the lease', (name) => {
    for (const at of [OVER - 1, OVER, OVER + 1])
      given(...world)
        .when(name, GIVING_UP[name] as ArgsOf<typeof name>, at)
        .answers({});
  });

  test.each(['completeExecution', 'failExecution', 'delayExecution'] as const)(
    '%s by an operator is too late as well',
    (name) => {
      const args = { ...WORK[name], fence: undefined, source: 'operator_override' } as ArgsOf<typeof name>;
      given(...world)
        .when(name, args, OVER)
        .refuses(code);
      given(...world)
        .when(name, args, OVER - 1)
        .answers({});
    },
  );
});

describe('the order of refusals', () => {
  const both = [created({ executionDeadlineAt: OVER }), claimed({ attemptTimeoutAt: OVER, leaseExpiresAt: OVER + 1 })];
  const complete = { executionId: X, fence: FENCE };

  test('has a lapse before the end of the attempt, and that before the deadline', () => {
    given(...both)
      .when('completeExecution', complete, OVER + 1)
      .refuses('lease_expired');
    given(...both)
      .when('completeExecution', complete, OVER)
      .refuses('attempt_timed_out');
  });

  test('has a revocation first', () => {
    given(...both, event('lease_revoked', { reason: 'r' }))
      .when('completeExecution', complete, OVER)
      .refuses('lease_revoked');
  });

  test('tells a caller with another fence that it is not the owner', () => {
    given(...both)
      .when('completeExecution', { executionId: X, fence: { ...FENCE, leaseId: uuid(999) } }, OVER)
      .refuses('stale_lease');
  });

  test('is the usual one once the due work has been applied', () => {
    given(...both)
      .when('expireExecution', { executionId: X, expireReason: 'execution_deadline' }, OVER)
      .answers({ kind: 'expired' })
      .when('completeExecution', complete, OVER)
      .refuses('execution_not_active', { terminalOutcome: 'expired' });
  });

  test('does not prevent that a completion made in time is recognised when it is repeated too late', () => {
    given(created({ executionDeadlineAt: OVER }), claimed({ attemptTimeoutAt: OVER }))
      .when('completeExecution', complete, OVER - 1)
      .when('completeExecution', complete, OVER + 1)
      .answers({ kind: 'completed' })
      .nothingHappens();
  });

  test('has no attempt timeout for a parked attempt, but the deadline of its execution', () => {
    const parked = [
      created({ executionDeadlineAt: OVER }),
      claimed({ attemptTimeoutAt: OVER }),
      event('lease_released', { attemptTimeoutRemainingMs: 5 }),
    ];
    given(...parked)
      .when('completeExecution', complete, OVER)
      .refuses('execution_not_active', { lifecyclePhase: 'runnable' });
    given(...parked)
      .when('expireExecution', { executionId: X, expireReason: 'attempt_timeout' }, OVER)
      .answers({ kind: 'not_yet_due' })
      .when('expireExecution', { executionId: X, expireReason: 'execution_deadline' }, OVER)
      .answers({ kind: 'expired' });
  });
});
