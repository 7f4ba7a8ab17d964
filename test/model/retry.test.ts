/** The retry decision: counts, classes, categories, backoff, jitter; and when terminal work is purged. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  backoffDelayOf,
  executionPolicy,
  retryPolicy,
  type ExecutionPolicy,
  type RetryPolicy,
} from '../../model/execution/policy.js';
import { policyRules, policyText } from '../../model/execution/policy-text.js';
import type { ArgsOf } from '../../model/machine.js';
import { claimArgs, claimed, created, event, FENCE, given, NOW, RETENTION_MS, slotEnd, START, uuid, X } from './dsl.js';

/** What `claimArgs` claims with, the second time. */
const SECOND = { leaseId: uuid(102), leaseEpoch: 2, attemptId: uuid(202) };

const policyOf = (input: object): ExecutionPolicy =>
  executionPolicy.parse({ retryPolicy: { backoff: { type: 'fixed', delayMs: 40 }, ...input } });
const fail = (policy: ExecutionPolicy | undefined, facts: Partial<ArgsOf<'failExecution'>> = {}, retries = 0) => {
  const earlier = Array.from({ length: retries }, (_, i) => [
    event('retry_scheduled', { failureReason: 'r', failureCategory: 'io', delayUntil: START + i }),
    event('execution_promoted'),
    claimed({ attemptType: 'retry', attemptIndex: i + 1, leaseEpoch: i + 2 }),
  ]).flat();
  return given(created({ policy }), claimed(), ...earlier).when('failExecution', {
    executionId: X,
    fence: { ...FENCE, leaseEpoch: retries + 1 },
    failureReason: 'why',
    ...facts,
  });
};

describe("an operator's failure", () => {
  const operator = { source: 'operator_override', fence: undefined } as const;
  const once = { maxRetries: 1, backoff: { type: 'fixed', delayMs: 5 } } as const;

  test('can carry a retry policy, which replaces the stored one and is logged', () => {
    fail(undefined, { ...operator, retryPolicy: once })
      .answers({ kind: 'retry_scheduled', delayUntil: NOW + 5 })
      .then({ type: 'retry_scheduled', overridden: true });
    fail(policyOf({}), { ...operator, retryPolicy: { maxRetries: 0 } }).answers({ kind: 'terminal_failed' });
    fail(policyOf({}), operator).then({ type: 'retry_scheduled', overridden: false });
  });

  test("differs from an owner's, which cannot carry one", () => {
    fail(policyOf({}), { retryPolicy: once }).refuses('override_not_allowed');
  });
});

describe('the detail of a failure', () => {
  const failureDetail = Uint8Array.of(0, 255, 7);
  const detailOf = (info: unknown) => (info as { outcome: { failureDetail?: Uint8Array } }).outcome.failureDetail;

  test('is stored and removed together with the failure', () => {
    const failed = fail(undefined, { failureDetail }).then({ type: 'execution_failed', failureDetail: 'AP8H' });
    expect([...(detailOf(failed.reads('readExecutionInfo', { executionId: X }, NOW)) ?? [])]).toEqual([0, 255, 7]);
    failed.when('replayExecution', { executionId: X }, NOW).leaves({ failureDetail: undefined });
    fail(policyOf({}), { failureDetail })
      .leaves({ failureDetail: 'AP8H' })
      .when('promoteDelayed', { executionId: X }, NOW + 40)
      .when('claimForWorker', claimArgs(), NOW + 40)
      .when('failExecution', { executionId: X, fence: SECOND, failureReason: 'why' }, NOW + 41)
      .leaves({ failureDetail: undefined });
    fail(policyOf({}), { failureDetail: new Uint8Array(0) }).leaves({ failureDetail: undefined });
  });
});

describe('a failure is retried', () => {
  test('never without a retry policy', () => {
    fail(undefined)
      .answers({ kind: 'terminal_failed' })
      .then({
        type: 'execution_failed',
        failureReason: 'why',
        failureCategory: 'transient',
        purgeAt: slotEnd(NOW + RETENTION_MS),
      });
    fail({}).answers({ kind: 'terminal_failed' });
  });

  test('as often as the policy says', () => {
    const policy = policyOf({ maxRetries: 2 });
    fail(policy, {}, 0).answers({ kind: 'retry_scheduled', nextAttemptIndex: 1 }).leaves({ retryCount: 1 });
    fail(policy, {}, 1).answers({ kind: 'retry_scheduled', nextAttemptIndex: 2 }).leaves({ retryCount: 2 });
    fail(policy, {}, 2).answers({ kind: 'terminal_failed' }).leaves({ retryCount: 2, situation: 'failed' });
    fail(policyOf({ maxRetries: 0 })).answers({ kind: 'terminal_failed' });
  });

  test.each([
    ['transient', 'retry_scheduled'],
    ['infra_crash', 'retry_scheduled'],
    ['timeout', 'retry_scheduled'],
    ['permanent', 'terminal_failed'],
    ['cancelled', 'terminal_failed'],
  ] as const)('class %s: %s', (failureClass, kind) => {
    fail(policyOf({}), { failureClass }).answers({ kind });
    fail(policyOf({ retryableCategories: [failureClass] }), { failureClass }).answers({ kind });
    // The class name is the category when none is given.
    fail(policyOf({ retryableCategories: ['io'] }), { failureClass }).answers({ kind: 'terminal_failed' });
  });

  test.each([
    [[], 'io', 'retry_scheduled'],
    [['io', 'rate'], 'io', 'retry_scheduled'],
    [['rate'], 'io', 'terminal_failed'],
    [['rat'], 'rate', 'terminal_failed'],
    [[], 'permanent', 'terminal_failed'],
    [['permanent'], 'permanent', 'terminal_failed'],
    [[], 'cancelled', 'terminal_failed'],
  ])('categories %j and a failure of category %s: %s', (retryableCategories, failureCategory, kind) => {
    fail(policyOf({ retryableCategories }), { failureCategory }).answers({ kind }).leaves({ failureCategory });
  });

  test('and waits in this state', () => {
    fail(policyOf({}))
      .then({ type: 'retry_scheduled', delayUntil: NOW + 40, failureReason: 'why', failureCategory: 'transient' })
      .leaves({
        situation: 'retry_backoff',
        dueAt: NOW + 40,
        nextAttempt: 'retry',
        currentLeaseId: undefined,
        currentAttemptId: FENCE.attemptId,
      })
      .leavesState({
        blockingReason: 'waiting_for_retry_backoff',
        attemptState: 'pending_retry_attempt',
        publicState: 'delayed',
      });
  });
});

describe('the backoff', () => {
  const exponential = (facts: object): RetryPolicy => retryPolicy.parse({ backoff: { type: 'exponential', ...facts } });

  test('fixed', () => {
    for (const retries of [0, 1, 9])
      expect(backoffDelayOf(retryPolicy.parse({ backoff: { type: 'fixed', delayMs: 70 } }), retries, 0)).toBe(70);
    expect(backoffDelayOf(retryPolicy.parse({ backoff: { type: 'fixed' } }), 0, 1)).toBe(1_000);
  });

  test('exponential with its defaults', () => {
    expect([0, 1, 2, 5, 6, 1_000].map((retries) => backoffDelayOf(retryPolicy.parse({}), retries, 1))).toEqual([
      1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
    ]);
  });

  test('is cut to whole milliseconds', () => {
    const policy = exponential({ initialDelayMs: 3, multiplier: 1.5, maxDelayMs: 1_000 });
    expect([0, 1, 2, 3].map((retries) => backoffDelayOf(policy, retries, 1))).toEqual([3, 4, 6, 10]);
  });

  test('has jitter between half of it and all, if the policy asks for it', () => {
    const jittered = exponential({ initialDelayMs: 101, maxDelayMs: 1_000, jitter: true });
    expect([0, 0.5, 1].map((factor) => backoffDelayOf(jittered, 0, factor))).toEqual([50, 75, 101]);
    expect(backoffDelayOf(exponential({ initialDelayMs: 101, maxDelayMs: 1_000 }), 0, 0)).toBe(101);
    fail({ retryPolicy: jittered }, { jitter: 0 }).answers({ kind: 'retry_scheduled', delayUntil: NOW + 50 });
    fail({ retryPolicy: jittered }).answers({ kind: 'retry_scheduled', delayUntil: NOW + 101 });
  });

  test('can be set by a handler, but the number of retries cannot', () => {
    fail(policyOf({ maxRetries: 1 }), { retryAfterMs: 5 }).answers({ kind: 'retry_scheduled', delayUntil: NOW + 5 });
    fail(policyOf({ maxRetries: 1 }), { retryAfterMs: 0 }).answers({ kind: 'retry_scheduled', delayUntil: NOW });
    fail(policyOf({ maxRetries: 0 }), { retryAfterMs: 5 }).answers({ kind: 'terminal_failed' });
  });

  test('is a whole number within its bounds for every policy', () => {
    const anyPolicy = fc.record({
      initialDelayMs: fc.nat(1_000),
      extra: fc.nat(100_000),
      multiplier: fc.double({ min: 1, max: 100, noNaN: true }),
      jitter: fc.boolean(),
    });
    fc.assert(
      fc.property(
        anyPolicy,
        fc.nat(1_000),
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ extra, ...facts }, retries, factor) => {
          const delay = backoffDelayOf(
            exponential({ ...facts, maxDelayMs: facts.initialDelayMs + extra }),
            retries,
            factor,
          );
          expect(Number.isSafeInteger(delay)).toBe(true);
          expect(delay).toBeGreaterThanOrEqual(Math.floor(facts.initialDelayMs / 2));
          expect(delay).toBeLessThanOrEqual(facts.initialDelayMs + extra);
        },
      ),
    );
  });
});

describe('the text of a policy', () => {
  const textOf = (input: z.input<typeof executionPolicy>): string => policyText.encode(executionPolicy.parse(input));

  test('consists of its rules: six words and more, and the lists', () => {
    expect(policyRules({})).toBe('- - - - - -|');
    expect(
      textOf({
        retryPolicy: { retryableCategories: ['io', 'two words'] },
        maxReclaimCount: 0,
        timeoutPolicy: { attemptTimeoutMs: 5 },
      }),
    ).toBe('3 exponential 1000 60000 2 0 5 0|io,two words');
    expect(
      textOf({
        retryPolicy: { backoff: { type: 'fixed', delayMs: 9 } },
        streamPolicy: { retentionTtlMs: -1 },
        dedupWindowMs: 8,
        priority: 4,
        delayUntil: 5,
        maxReleaseCount: 6,
        routingRequirements: { requiredCapabilities: ['gpu', 'eu'] },
      }),
    ).toBe('3 fixed 9 - - - - - 6 -1 - 8 4 5||eu,gpu');
    expect(textOf({ maxReplayCount: 2 })).toBe('- - - - - - - - - - - - - - 2|');
  });

  test('is JSON where the rules do not express all of it', () => {
    const budgetId = '01890a5d-ac96-774b-bcce-b302099a8057';
    for (const input of [
      { budgetIds: [budgetId] },
      { streamPolicy: {} },
      { suspensionPolicy: {} },
      { budgetIds: [] },
    ]) {
      const policy = executionPolicy.parse(input);
      expect(policyText.encode(policy)).toBe(JSON.stringify(policy));
      expect(policyText.decode(JSON.stringify(policy))).toEqual(policy);
    }
  });

  test('decodes to the same policy', () => {
    const number = fc.integer({ min: 1, max: 9_000 });
    const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
    const backoff = fc.oneof(
      fc.record({ type: fc.constant('fixed' as const), delayMs: number }),
      fc.record({
        type: fc.constant('exponential' as const),
        initialDelayMs: number,
        maxDelayMs: fc.integer({ min: 9_000, max: 86_400_000 }),
        multiplier: fc.double({ min: 1, max: 10, noNaN: true }),
        jitter: fc.boolean(),
      }),
    );
    const tokens = (...words: string[]) => fc.subarray(words);
    const input = fc.record(
      {
        priority: fc.integer({ min: 0, max: 9_000 }),
        delayUntil: number,
        retryPolicy: fc.record({
          maxRetries: number.map((n) => n % 9),
          backoff,
          retryableCategories: tokens('io', 'a b', '-'),
        }),
        timeoutPolicy: fc.record({ attemptTimeoutMs: maybe(number), executionDeadlineMs: maybe(number) }),
        maxReclaimCount: number.map((n) => n % 9),
        maxReplayCount: number.map((n) => n % 9),
        maxReleaseCount: number.map((n) => n % 9),
        suspensionPolicy: fc.record({
          defaultTimeoutMs: maybe(number),
          timeoutBehavior: fc.constantFrom('fail' as const, 'cancel' as const),
        }),
        maxSignalsPerExecution: number,
        routingRequirements: fc.record({ requiredCapabilities: tokens('gpu', 'eu', '-') }),
        dedupWindowMs: number,
        streamPolicy: fc.record({
          retentionTtlMs: maybe(number),
          retentionMaxlen: maybe(number),
          maxBytes: maybe(number),
        }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(input, (given) => {
        const policy = executionPolicy.parse(given);
        expect(policyText.decode(policyText.encode(policy))).toEqual(policy);
        const members = [given.timeoutPolicy, given.streamPolicy, given.suspensionPolicy, given.routingRequirements];
        // Objects without members are no rules.
        if (members.every((member) => member === undefined)) expect(policyText.encode(policy)).not.toContain('{');
      }),
    );
  });
});
