/** Steps of handlers: recorded once, under the fence, for every later attempt of the execution. */
import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../model/limits.js';
import type { ArgsOf } from '../../../model/machine.js';
import type { StepsPage } from '../../../model/step/reads.js';
import { claimArgs, claimed, CLASSES, created, event, FENCE, given, IN_CLASS, NOW, START, uuid, X } from '../dsl.js';

const value = Uint8Array.of(1, 2, 3);
const pay: ArgsOf<'recordStep'> = {
  executionId: X,
  fence: FENCE,
  stepName: 'pay',
  stepIndex: 0,
  value,
  encoding: 'json',
};

/** What each state class refuses the last owner with; the others take the step. */
const REFUSED: Readonly<Record<string, string>> = {
  none: 'execution_not_found',
  AX: 'lease_expired',
  AE: 'lease_expired',
  AR: 'lease_revoked',
};

const recorded = (facts: object = {}) =>
  event('step_recorded', {
    stepName: 'pay',
    stepIndex: 0,
    stepKind: 'step',
    stepFailed: false,
    valueBytes: 3,
    valueEncoding: 'json',
    ...facts,
  });

describe('recordStep', () => {
  test.each(CLASSES)('in %s', (state) => {
    const result = given(...IN_CLASS[state]).when('recordStep', pay);
    if (state === 'AL')
      result
        .answers({ kind: 'recorded', place: 0 })
        .then({ ...recorded(), at: NOW })
        .leaves({ stepCount: 1, stepBytes: 3, situation: 'running' });
    else result.refuses((REFUSED[state] ?? 'execution_not_active') as never);
  });

  test.each([
    ['fence_required', undefined],
    ['partial_fence_triple', { ...FENCE, leaseId: undefined }],
    ['stale_lease', { ...FENCE, leaseEpoch: 2 }],
    ['stale_lease', { ...FENCE, leaseId: uuid(9) }],
  ] as const)('is refused with %s', (code, fence) => {
    given(...IN_CLASS.AL)
      .when('recordStep', { ...pay, fence })
      .refuses(code);
  });

  test('is refused once the attempt or the execution has timed out, recorded or not', () => {
    given(created(), claimed({ attemptTimeoutAt: NOW }))
      .when('recordStep', pay)
      .refuses('attempt_timed_out');
    given(created({ executionDeadlineAt: NOW }), claimed())
      .when('recordStep', pay)
      .refuses('execution_deadline_passed');
    given(created({ executionDeadlineAt: NOW + 1 }), claimed({ attemptTimeoutAt: NOW + 1 }))
      .when('recordStep', pay)
      .answers({ kind: 'recorded', place: 0 });
  });

  test('again with the same value has the same answer, and another value is ignored', () => {
    const once = given(...IN_CLASS.AL).when('recordStep', pay);
    once.when('recordStep', pay, NOW).answers({ kind: 'recorded', place: 0 }).nothingHappens();
    for (const other of [
      { value: Uint8Array.of(1, 2, 4) },
      { value: undefined, encoding: undefined },
      { failed: true },
      { encoding: 'bytes' },
    ])
      once
        .when('recordStep', { ...pay, ...other }, NOW)
        .answers({ kind: 'already_recorded', place: 0 })
        .nothingHappens()
        .leaves({ stepCount: 1, stepBytes: 3 });
    expect(once.reads('readSteps', { executionId: X }, NOW)).toMatchObject({
      outcome: { steps: [{ stepFailed: false, value: Buffer.from(value), recordedAt: NOW }], stepCount: 1 },
    });
  });

  test('distinguishes absent from empty values', () => {
    const nothing = { ...pay, value: undefined, encoding: undefined };
    const empty = { ...pay, value: new Uint8Array(0) };
    given(...IN_CLASS.AL)
      .when('recordStep', nothing)
      .then(recorded({ at: NOW, valueBytes: undefined, valueEncoding: undefined }))
      .when('recordStep', empty, NOW)
      .answers({ kind: 'already_recorded', place: 0 });
    given(...IN_CLASS.AL)
      .when('recordStep', empty)
      .then(recorded({ at: NOW, valueBytes: 0 }))
      .when('recordStep', nothing, NOW)
      .answers({ kind: 'already_recorded', place: 0 });
  });

  test('refuses another kind under the name and use of a step, and accepts it for another use', () => {
    const sleep = given(...IN_CLASS.AL).when('recordStep', { ...pay, stepKind: 'sleep' });
    sleep
      .when('recordStep', pay, NOW)
      .refuses('step_changed', { stepName: 'pay', stepIndex: '0', recorded: 'sleep', asked: 'step' });
    sleep
      .when('recordStep', { ...pay, stepIndex: 1 }, NOW)
      .answers({ kind: 'recorded', place: 1 })
      .leaves({ stepCount: 2 });
    sleep.when('recordStep', { ...pay, stepName: 'pay:1' }, NOW).answers({ kind: 'recorded', place: 2 });
  });

  test('has limits: 10,000 steps, 64 MiB together', () => {
    given(...IN_CLASS.AL)
      .when('recordStep', { ...pay, stepIndex: LIMITS.maxSteps })
      .refuses('step_limit_exceeded', { maxSteps: '10000' })
      .when('recordStep', { ...pay, stepIndex: LIMITS.maxSteps - 1 }, NOW)
      .answers({ kind: 'recorded', place: 0 });
    const many = Array.from({ length: LIMITS.maxSteps }, (_, i) => recorded({ stepName: `s${i}` }));
    given(...IN_CLASS.AL, ...many)
      .when('recordStep', pay)
      .refuses('step_limit_exceeded', { maxSteps: '10000' });
    given(...IN_CLASS.AL, recorded({ stepName: 'a', valueBytes: LIMITS.maxStepsBytes - 2 }))
      .when('recordStep', pay)
      .refuses('step_limit_exceeded', { maxBytes: String(LIMITS.maxStepsBytes) })
      .when('recordStep', { ...pay, value: value.subarray(0, 2) }, NOW)
      .answers({ kind: 'recorded', place: 1 })
      .leaves({ stepBytes: LIMITS.maxStepsBytes });
  });

  test('makes steps available to later attempts and replays, until they are discarded', () => {
    const end = given(...IN_CLASS.AL)
      .when('recordStep', pay)
      .when('completeExecution', { executionId: X, fence: FENCE }, NOW);
    const replayed = end.when('replayExecution', { executionId: X }, NOW);
    replayed.then({ type: 'execution_replayed', checkpointsDiscarded: false }).leaves({ stepCount: 1, stepBytes: 3 });
    replayed.when('claimForWorker', claimArgs(), NOW);
    const fence = { leaseId: uuid(102), leaseEpoch: 2, attemptId: uuid(202) };
    const other = { ...pay, fence, value: Uint8Array.of(9) };
    replayed.when('recordStep', other, NOW).answers({ kind: 'already_recorded', place: 0 });
    replayed
      .when('completeExecution', { executionId: X, fence }, NOW)
      .when('replayExecution', { executionId: X, steps: 'discard' }, NOW)
      .then({ type: 'execution_replayed', checkpointsDiscarded: true })
      .leaves({ stepCount: 0, stepBytes: 0 })
      .when('claimForWorker', claimArgs({ claims: [{ leaseId: uuid(103), attemptId: uuid(203) }] }), NOW)
      .when('recordStep', { ...other, fence: { leaseId: uuid(103), leaseEpoch: 3, attemptId: uuid(203) } }, NOW)
      .answers({ kind: 'recorded', place: 0 })
      .leaves({ stepCount: 1, stepBytes: 1 });
  });

  test('leaves nothing to discard for a replay without steps', () => {
    given(...IN_CLASS.Tcompleted)
      .when('replayExecution', { executionId: X, steps: 'discard' })
      .then({ type: 'execution_replayed', checkpointsDiscarded: false });
  });

  test('is undone by a purge', () => {
    const gone = given(...IN_CLASS.AL)
      .when('recordStep', pay)
      .when('completeExecution', { executionId: X, fence: FENCE }, NOW)
      .when('purgeExecution', { executionId: X }, START + 10_000_000)
      .answers({ kind: 'purged' })
      .leavesNothing();
    expect(gone.reads('readSteps', { executionId: X }, NOW)).toMatchObject({ outcome: { steps: [], stepCount: 0 } });
  });
});

describe('readSteps', () => {
  const names = ['a', 'b', 'c', 'd'];
  const world = () => {
    let then = given(...IN_CLASS.AL).when('recordStep', { ...pay, stepName: 'a', value: new Uint8Array(200_000) });
    for (const stepName of names.slice(1))
      then = then.when('recordStep', { ...pay, stepName, value: new Uint8Array(100_000) }, NOW);
    return then;
  };
  const read = (args: Partial<ArgsOf<'readSteps'>>): [string[], number | undefined] => {
    const { outcome } = world().reads('readSteps', { executionId: X, ...args }, NOW) as { outcome: StepsPage };
    expect(outcome.stepCount).toBe(4);
    return [outcome.steps.map(({ stepName }) => stepName), outcome.next];
  };

  test('returns steps in the order of recording, in pages bounded by number and by 256 KiB of values', () => {
    expect(read({})).toEqual([['a'], 1]);
    expect(read({ from: 1 })).toEqual([['b', 'c'], 3]);
    expect(read({ from: 1, limit: 1 })).toEqual([['b'], 2]);
    expect(read({ from: 3 })).toEqual([['d'], undefined]);
    expect(read({ from: 4 })).toEqual([[], undefined]);
    expect(read({ values: false })).toEqual([names, undefined]);
    expect(read({ values: false, limit: 3 })).toEqual([['a', 'b', 'c'], 3]);
  });

  test('returns nothing for an unknown execution', () => {
    expect(
      given().when('purgeExecution', { executionId: X }).reads('readSteps', { executionId: X }, NOW),
    ).toMatchObject({ outcome: { steps: [], stepCount: 0 } });
  });
});
