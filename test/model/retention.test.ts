/** How long ended work is kept: a minute at least, as long as its key, or for good. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULTS, KEEP_FOR_GOOD, MIN_RETENTION_MS } from '../../model/limits.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { purgeAtOf } from '../../model/schedule/retention.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { claimed, created, given, NOW, PARTITION, RETENTION_MS, slotEnd, START, X } from './dsl.js';

const kept = (
  retentionTtlMs: number | undefined,
  facts: { keyUntil?: number; now?: number; deployment?: number } = {},
) =>
  purgeAtOf(
    {
      policy: retentionTtlMs === undefined ? undefined : { streamPolicy: { retentionTtlMs } },
      idempotencyExpiresAt: facts.keyUntil,
    },
    facts.now ?? 60_000,
    facts.deployment ?? RETENTION_MS,
  );

describe('the time of the purge', () => {
  test.each([
    ['the retention of the deployment', undefined, 60_000 + RETENTION_MS],
    ['its own, to the end of a slot', 90_000, 180_000],
    ['a minute at least', 0, 120_000],
    ['a minute at least, also when it asks for less', 59_999, 120_000],
    ['exactly a minute', 60_000, 120_000],
    ['a millisecond more than a minute', 60_001, 180_000],
    ['for good', KEEP_FOR_GOOD, undefined],
  ])('is %s', (_, retentionTtlMs, purgeAt) => {
    expect(kept(retentionTtlMs)).toBe(purgeAt);
  });

  test('can be unset for a deployment, and set for a single execution', () => {
    expect(kept(undefined, { deployment: KEEP_FOR_GOOD })).toBeUndefined();
    expect(kept(0, { deployment: KEEP_FOR_GOOD })).toBe(120_000);
  });

  test('is not before the end of the key', () => {
    expect(kept(0, { keyUntil: 500_000 })).toBe(slotEnd(500_000));
    expect(kept(600_000, { keyUntil: 500_000 })).toBe(660_000);
    expect(kept(0, { keyUntil: 1 })).toBe(120_000);
    expect(kept(KEEP_FOR_GOOD, { keyUntil: 500_000 })).toBeUndefined();
  });

  test('is the end of a slot, at most one slot late', () => {
    const option = <Value>(values: fc.Arbitrary<Value>) => fc.option(values, { nil: undefined });
    fc.assert(
      fc.property(
        fc.nat(2_000_000_000),
        option(fc.nat(10_000_000)),
        option(fc.nat(2_000_000_000)),
        (now, retention, key) => {
          const purgeAt = kept(retention, { now, ...(key === undefined ? {} : { keyUntil: key }) }) as number;
          const least = Math.max(now + Math.max(retention ?? RETENTION_MS, MIN_RETENTION_MS), key ?? 0);
          expect(purgeAt % 60_000).toBe(0);
          expect(purgeAt - least).toBeGreaterThanOrEqual(0);
          expect(purgeAt - least).toBeLessThan(60_000);
        },
      ),
    );
  });
});

describe('permanent retention', () => {
  const policy = { streamPolicy: { retentionTtlMs: KEEP_FOR_GOOD } };
  const forGood = () =>
    given(created({ policy }), claimed()).when('cancelExecution', {
      executionId: X,
      reason: 'r',
      source: 'operator_override',
    });
  const LATER = START + 400 * 86_400_000;

  test('sets no time of the purge', () => {
    forGood()
      .then({ type: 'execution_cancelled', purgeAt: undefined })
      .leaves({ situation: 'cancelled', dueAt: undefined });
  });

  test('prevents every purge, by name or by a pass', () => {
    const ended = forGood();
    ended
      .when('purgeExecution', { executionId: X }, LATER)
      .answers({ kind: 'not_yet_due', purgeAt: undefined })
      .nothingHappens();
    ended
      .when('applyDue', { partition: PARTITION }, LATER)
      .answers({ kind: 'applied', purged: 0, nextDueAt: undefined });
    expect(ended.reads('readExecutionInfo', { executionId: X }, LATER)).toMatchObject({
      outcome: { publicState: 'cancelled', purgeAt: undefined },
    });
  });

  test('can be set in a policy; lower values are refused', () => {
    const create = (retentionTtlMs: number) => () =>
      parseCommand(
        'createExecution',
        {
          executionId: X,
          namespace: 'n',
          laneId: 'lane',
          executionKind: 'k',
          creatorIdentity: 'c',
          policy: { streamPolicy: { retentionTtlMs } },
        },
        'memory',
      );
    expect(create(KEEP_FOR_GOOD)).not.toThrow();
    expect(create(-2)).toThrowError(/invalid_policy_json/);
  });

  test('can be set for a deployment', () => {
    const machine = new SpecMachine({ retentionMs: KEEP_FOR_GOOD });
    machine.record(created());
    const run = (name: 'cancelExecution' | 'purgeExecution', args: object, at: number) =>
      machine.run(parseCommand(name, args, 'memory'), at);
    run('cancelExecution', { executionId: X, reason: 'r', source: 'operator_override' }, NOW);
    expect(run('purgeExecution', { executionId: X }, LATER)).toMatchObject({ outcome: { kind: 'not_yet_due' } });
  });
});

describe('a key that is longer than the retention', () => {
  const key = { idempotencyKey: 'k', idempotencyExpiresAt: NOW + DEFAULTS.dedupWindowMs };
  test.each([
    ['completed', 'completeExecution', { executionId: X, source: 'operator_override' }],
    ['cancelled', 'cancelExecution', { executionId: X, source: 'operator_override', reason: 'r' }],
    ['failed', 'failExecution', { executionId: X, source: 'operator_override', failureReason: 'r' }],
  ] as const)('keeps an execution that was %s', (situation, name, args) => {
    given(created(key), claimed())
      .when(name, args)
      .leaves({ situation, dueAt: slotEnd(NOW + DEFAULTS.dedupWindowMs) });
  });

  test('keeps an execution that ended by time or by its reclaim cap', () => {
    given(created({ ...key, executionDeadlineAt: NOW }), claimed())
      .when('applyDue', { partition: PARTITION })
      .leaves({ situation: 'expired', dueAt: slotEnd(NOW + DEFAULTS.dedupWindowMs) });
  });
});
