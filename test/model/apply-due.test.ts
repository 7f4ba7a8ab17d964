/** A pass over due work: what it applies, in which order, how much of it, and whose turn it is. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import { APPLIER_MS } from '../../model/limits.js';
import { jitterOf } from '../../model/schedule/due-execution.js';
import {
  claimed,
  created,
  DELAYED_UNTIL,
  event,
  given,
  idOf,
  IN_CLASS,
  NOW,
  PARTITION,
  slotEnd,
  START,
  uuid,
  X,
} from './dsl.js';

const PASS = { partition: PARTITION };
const NOTHING = { promoted: 0, leasesExpired: 0, purged: 0, attemptsTimedOut: [], expired: [], setAside: [] };
const delayed = (n: number, until: number, facts: object = {}): Event =>
  created({ executionId: idOf(n), delayUntil: until, ...facts });
const held = (n: number, facts: object = {}): Event[] => [
  created({ executionId: idOf(n) }),
  claimed({ executionId: idOf(n), leaseId: uuid(500 + n), attemptId: uuid(600 + n), ...facts }),
];
const ended = (n: number, purgeAt: number): Event[] => [
  ...held(n),
  event('execution_completed', { executionId: idOf(n), purgeAt }),
];

describe('a pass applies', () => {
  test('nothing, when nothing is due', () => {
    given(delayed(1, NOW + 1), ...held(2, { leaseExpiresAt: NOW + 5 }), created({ executionId: idOf(3) }))
      .when('applyDue', PASS)
      .answers({ kind: 'applied', ...NOTHING, nextDueAt: NOW + 1 })
      .nothingHappens();
    given()
      .when('applyDue', PASS)
      .answers({ kind: 'applied', ...NOTHING, nextDueAt: undefined })
      .nothingHappens();
  });

  test('the same as the single commands: every kind, and each is counted', () => {
    const retried = {
      retryPolicy: { maxRetries: 1, backoff: { type: 'fixed' as const, delayMs: 90 }, retryableCategories: [] },
    };
    given(
      delayed(1, NOW),
      ...held(2, { leaseExpiresAt: NOW }),
      created({ executionId: idOf(3), policy: retried }),
      claimed({ executionId: idOf(3), attemptTimeoutAt: NOW }),
      ...held(4, { attemptTimeoutAt: NOW }),
      created({ executionId: idOf(5), executionDeadlineAt: NOW }),
    )
      .when('applyDue', PASS)
      .answers({
        kind: 'applied',
        promoted: 1,
        leasesExpired: 1,
        purged: 0,
        attemptsTimedOut: [idOf(3)],
        expired: [
          { executionId: idOf(4), expireReason: 'attempt_timeout' },
          { executionId: idOf(5), expireReason: 'execution_deadline' },
        ],
        nextDueAt: NOW + 90,
      })
      .then(
        { type: 'execution_promoted', executionId: idOf(1), at: NOW },
        { type: 'lease_expired', executionId: idOf(2), at: NOW },
        { type: 'retry_scheduled', executionId: idOf(3), failureReason: 'attempt_timeout', delayUntil: NOW + 90 },
        { type: 'execution_expired', executionId: idOf(4), expireReason: 'attempt_timeout' },
        { type: 'execution_expired', executionId: idOf(5), expireReason: 'execution_deadline' },
      );
  });

  test('the earliest first, equal times in the order of ids', () => {
    given(delayed(1, START + 30), delayed(4, START + 10), delayed(3, START + 10), delayed(2, START + 20))
      .when('applyDue', PASS)
      .then(...[3, 4, 2, 1].map((n) => ({ type: 'execution_promoted' as const, executionId: idOf(n) })));
  });

  test('the most final of several things that are due at once for an execution', () => {
    const both = [created({ executionDeadlineAt: NOW }), claimed({ attemptTimeoutAt: NOW, leaseExpiresAt: NOW })];
    given(...both)
      .when('applyDue', PASS)
      .then({ type: 'execution_expired', expireReason: 'execution_deadline' });
    given(created(), claimed({ attemptTimeoutAt: NOW, leaseExpiresAt: NOW }))
      .when('applyDue', PASS)
      .then({ type: 'execution_expired', expireReason: 'attempt_timeout' });
  });

  test('one thing per execution; the next one is due at once', () => {
    given(created({ executionDeadlineAt: NOW }), claimed({ leaseExpiresAt: NOW - 5 }))
      .when('applyDue', PASS)
      .answers({ leasesExpired: 1, nextDueAt: NOW })
      .when('applyDue', PASS, NOW)
      .answers({ expired: [{ executionId: X, expireReason: 'execution_deadline' }] });
  });

  test('the end of lapsed and revoked work whose attempt timed out', () => {
    for (const state of ['AE', 'AR'] as const) {
      const [first, , ...rest] = IN_CLASS[state];
      given(first, claimed({ attemptTimeoutAt: NOW }), ...rest)
        .when('applyDue', PASS)
        .answers({ expired: [{ executionId: X, expireReason: 'attempt_timeout' }] });
    }
  });

  test('nothing one millisecond early', () => {
    given(...IN_CLASS.DW)
      .when('applyDue', PASS, DELAYED_UNTIL - 1)
      .answers(NOTHING)
      .nothingHappens();
    given(...IN_CLASS.DW)
      .when('applyDue', PASS, DELAYED_UNTIL)
      .answers({ promoted: 1, nextDueAt: undefined });
  });
});

describe('purges', () => {
  test('wait until nothing else is due', () => {
    given(...ended(1, NOW), delayed(2, NOW))
      .when('applyDue', PASS)
      .answers({ promoted: 1, purged: 0, nextDueAt: NOW })
      .then({ type: 'execution_promoted' })
      .when('applyDue', PASS, NOW)
      .answers({ promoted: 0, purged: 1, nextDueAt: undefined })
      .then({ type: 'execution_purged', executionId: X })
      .leavesNothing();
  });

  test('come at their time, the earliest slot first', () => {
    given(...ended(1, NOW + 60_000), ...ended(2, NOW))
      .when('applyDue', PASS, NOW - 1)
      .answers({ purged: 0, nextDueAt: NOW })
      .when('applyDue', PASS, NOW)
      .answers({ purged: 1, nextDueAt: NOW + 60_000 })
      .leavesNothing(idOf(2));
  });

  test('cost four units of the limit each, and one is always made', () => {
    const world = [1, 2, 3].flatMap((n) => ended(n, NOW));
    const purged = (limit: number) => given(...world).when('applyDue', { ...PASS, limit }).decision;
    for (const [limit, count] of [
      [1, 1],
      [4, 1],
      [7, 1],
      [8, 2],
      [12, 3],
      [100, 3],
    ] as const)
      expect(purged(limit)).toMatchObject({ outcome: { purged: count } });
  });
});

describe('the limit', () => {
  const world = [1, 2, 3].map((n) => delayed(n, START + n));

  test('bounds one pass, and the rest is due next', () => {
    given(...world)
      .when('applyDue', { ...PASS, limit: 2 })
      .answers({ promoted: 2, nextDueAt: START + 3 })
      .when('applyDue', { ...PASS, limit: 2 }, NOW)
      .answers({ promoted: 1, nextDueAt: undefined });
  });

  test('is 100 by default', () => {
    const many = Array.from({ length: 101 }, (_, n) => delayed(n + 1, START + 1));
    given(...many)
      .when('applyDue', PASS)
      .answers({ promoted: 100, nextDueAt: START + 1 });
  });
});

describe('the turns of loops', () => {
  const world = [1, 2, 3, 4].map((n) => delayed(n, START + n));
  const pass = (owner: string, limit = 2) => ({ ...PASS, owner, limit });

  test('keep other loops away while a pass leaves work behind', () => {
    given(...world)
      .when('applyDue', pass('one'))
      .answers({ kind: 'applied', promoted: 2 })
      .when('applyDue', pass('other'), NOW + APPLIER_MS - 1)
      .answers({ kind: 'left_to_other', until: NOW + APPLIER_MS })
      .nothingHappens();
  });

  test('let the loop in turn continue', () => {
    given(...world)
      .when('applyDue', pass('one'))
      .when('applyDue', pass('one'), NOW + 1)
      .answers({ kind: 'applied', promoted: 2 });
  });

  test('end when a loop takes too long', () => {
    given(...world)
      .when('applyDue', pass('one'))
      .when('applyDue', pass('other'), NOW + APPLIER_MS)
      .answers({ kind: 'applied', promoted: 2 })
      .when('applyDue', pass('one'), NOW + APPLIER_MS)
      .answers({ kind: 'left_to_other', until: NOW + 2 * APPLIER_MS });
  });

  test('end when nothing is left', () => {
    given(...world)
      .when('applyDue', pass('one', 5))
      .answers({ promoted: 4 })
      .when('applyDue', pass('other'), NOW)
      .answers({ kind: 'applied', promoted: 0 });
  });

  test('continue after a pass that purges as many as it may, whatever its limit', () => {
    for (const limit of [1, 4, 6]) {
      given(...ended(1, NOW), ...ended(2, NOW))
        .when('applyDue', pass('one', limit))
        .answers({ purged: 1 })
        .when('applyDue', pass('other', limit), NOW)
        .answers({ kind: 'left_to_other' });
    }
  });

  test('do not affect the single commands', () => {
    given(...world)
      .when('applyDue', pass('one'))
      .when('promoteDelayed', { executionId: idOf(3) }, NOW)
      .answers({ kind: 'promoted' });
  });
});

describe('jitter', () => {
  const backoff = {
    type: 'exponential',
    initialDelayMs: 1_000,
    maxDelayMs: 1_000,
    multiplier: 1,
    jitter: true,
  } as const;
  const policy = { retryPolicy: { maxRetries: 1, backoff, retryableCategories: [] } };
  const random = (n: number): string =>
    `${PARTITION}:0190a5b1-7c3e-7${n}aa-8bbb-${(n * 0x1234567).toString(16).padStart(12, '0')}`;
  const ids = [1, 2, 3, 4, 5, 6, 7, 8].map(random);
  const delays = (jitter: number | undefined): number[] => {
    const world = ids.flatMap((executionId) => [
      created({ executionId, policy }),
      claimed({ executionId, attemptTimeoutAt: NOW }),
    ]);
    const { decision } = given(...world).when('applyDue', { ...PASS, ...(jitter === undefined ? {} : { jitter }) });
    return decision.ok ? decision.events.map((it) => (it as { delayUntil: number }).delayUntil - NOW) : [];
  };

  test('is drawn once and differs for every execution', () => {
    const all = delays(0.25);
    expect(new Set(all).size).toBeGreaterThan(4);
    for (const delay of all) expect(delay >= 500 && delay <= 1_000).toBe(true);
  });

  test('follows from the factor and the id alone', () => {
    expect(delays(0.25)).toEqual(delays(0.25));
    expect(delays(0.25)).not.toEqual(delays(0.75));
    expect(delays(0.25)).toEqual(
      [...ids].sort().map((id) => Math.floor(1_000 * (0.5 + 0.5 * (jitterOf(id, 0.25) as number)))),
    );
  });

  test('is the whole backoff without a factor', () => {
    expect(new Set(delays(undefined))).toEqual(new Set([1_000]));
  });

  test('stays a factor from 0 to 1', () => {
    for (const id of ids) {
      for (const factor of [0, 0.5, 0.999, 1]) {
        const moved = jitterOf(id, factor) as number;
        expect(moved >= 0 && moved <= 1).toBe(true);
      }
    }
  });
});

test('the time of the next purge is the end of a slot', () => {
  given(created(), claimed())
    .when('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' })
    .when('applyDue', PASS, NOW)
    .answers({ nextDueAt: slotEnd(NOW + 600_000) });
});
