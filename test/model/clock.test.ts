/** Time in a partition: it never goes back, unless the clock had jumped, and then an event says so. */
import { ONE_OF_EACH } from '../../model/partition.js';
import { describe, expect, test } from 'vitest';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseBatch } from '../../src/backend/boundary.js';
import { APPLIER_MS } from '../../model/limits.js';
import { claimArgs, claimed, created, FENCE, given, idOf, PARTITION, RETENTION_MS, START, X } from './dsl.js';

const complete = { executionId: X, fence: FENCE };
const owned = () => given(created(), claimed());

describe('a clock that is behind the log', () => {
  test.each([1, 59_000, 60_000])('by %d ms lets time stand still', (behindMs) => {
    owned()
      .when('completeExecution', complete, START - behindMs)
      .answers({ kind: 'completed' })
      .then({ type: 'execution_completed', at: START });
  });

  test.each([60_001, 61_000, 86_400_000])('by %d ms steps time back, which is logged first', (behindMs) => {
    const at = START - behindMs;
    owned()
      .when('completeExecution', complete, at)
      .answers({ kind: 'completed' })
      .then(
        { type: 'clock_stepped_back', partition: PARTITION, at, from: START, to: at },
        { type: 'execution_completed', at },
      )
      .leaves({ situation: 'completed', lastTransitionAt: at });
  });

  test('steps back once, and time continues from there', () => {
    const at = START - 61_000;
    owned()
      .when('updateProgress', { executionId: X, ...FENCE, progressPct: 1 }, at)
      .then({ type: 'clock_stepped_back' }, { type: 'progress_updated', at })
      .when('updateProgress', { executionId: X, ...FENCE, progressPct: 2 }, at - 5)
      .then({ type: 'progress_updated', at })
      .when('completeExecution', complete, at + 5)
      .then({ type: 'execution_completed', at: at + 5 });
  });

  test('may be ahead by any amount', () => {
    given(created())
      .when('claimForWorker', claimArgs(), START + 86_400_000)
      .then({ type: 'execution_claimed', at: START + 86_400_000 });
  });

  test('changes nothing when no event is written: refusals and repetitions', () => {
    owned()
      .when('completeExecution', { executionId: X }, START - 61_000)
      .refuses('fence_required')
      .when('promoteDelayed', { executionId: X }, START - 61_000)
      .answers({ kind: 'already_satisfied' })
      .nothingHappens()
      .when('applyDue', { partition: PARTITION }, START - 61_000)
      .answers({ kind: 'applied' })
      .nothingHappens()
      .when('completeExecution', complete, START)
      .then({ type: 'execution_completed', at: START });
  });

  test('decides leases by the time of the log, unless it is far behind', () => {
    given(created(), claimed({ leaseExpiresAt: START + 1_000 }), created({ executionId: idOf(2), at: START + 1_000 }))
      .when('completeExecution', complete, START + 999)
      .refuses('lease_expired');
  });

  test('of a log without an entry is the clock', () => {
    given()
      .when(
        'createExecution',
        { executionId: X, namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' },
        5,
      )
      .then({ type: 'execution_created', at: 5 });
  });
});

describe('a batch', () => {
  const batch = (at: number) => {
    const machine = new SpecMachine({ retentionMs: RETENTION_MS });
    for (const n of [1, 2, 3]) machine.record(created({ executionId: idOf(n) }));
    const cancels = [1, 2, 3].map((n) => ({
      name: 'cancelExecution' as const,
      args: { executionId: idOf(n), reason: 'r', source: 'operator_override' as const },
    }));
    for (const command of parseBatch(cancels, 'memory', ONE_OF_EACH)) machine.run(command, at);
    const { state, log } = machine.partition;
    expect(violations(state, log, at)).toEqual([]);
    return log.slice(3).map(({ event }) => `${event.type} ${event.at - START}`);
  };

  test('logs a step back of time once', () => {
    expect(batch(START - 61_000)).toEqual([
      'clock_stepped_back -61000',
      'execution_cancelled -61000',
      'execution_cancelled -61000',
      'execution_cancelled -61000',
    ]);
  });

  test('by a clock that is a little behind has the time of the log', () => {
    expect(batch(START - 60_000)).toEqual(['execution_cancelled 0', 'execution_cancelled 0', 'execution_cancelled 0']);
  });
});

describe('a loop that reserved due work before time stepped back', () => {
  test('keeps other loops away no longer than another loop does', () => {
    const delayed = (n: number) => created({ executionId: idOf(n), delayUntil: START + 1 });
    const applied = given(delayed(1), delayed(2), delayed(3)).when(
      'applyDue',
      { partition: PARTITION, limit: 1, owner: 'one' },
      START + 100_000,
    );
    applied
      .when('applyDue', { partition: PARTITION, limit: 1, owner: 'other' }, START + 100_000 + APPLIER_MS - 1)
      .answers({ kind: 'left_to_other', until: START + 100_000 + APPLIER_MS })
      .when('applyDue', { partition: PARTITION, limit: 1, owner: 'other' }, START + 20_000)
      .answers({ kind: 'applied', promoted: 1 })
      .then({ type: 'clock_stepped_back' }, { type: 'execution_promoted', executionId: idOf(2), at: START + 20_000 });
  });
});
