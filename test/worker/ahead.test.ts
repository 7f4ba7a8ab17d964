/** Work that was claimed ahead is not held back from others. */
import { afterEach, describe, expect, it } from 'vitest';
import { app, type TaskContext } from '../../src/index.js';
import type { Command } from '../../model/machine.js';
import { Ahead } from '../../src/worker/start/ahead.js';
import { Beginner } from '../../src/worker/start/begin.js';
import { deferred } from '../app/support.js';
import { answering, harness, type Harness } from './harness.js';
import { ManualClock } from './manual-clock.js';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import type { Attempt } from '../../src/worker/attempt/attempt.js';
import type { Backend } from '../../src/index.js';

let h: Harness;
afterEach(() => h.close());

describe('work claimed ahead', () => {
  it.each([
    [30_000, 5_000],
    [3_000, 1_000],
  ])(
    'with a lease of %i ms, is handed back after %i ms behind a long task, and an idle worker takes it',
    async (leaseTtlMs, heldMs) => {
      h = harness();
      const other = app({ backend: h.backend, clock: h.clock, closeBackend: false });
      const go = deferred();
      const byOther: number[] = [];
      const task = h.a.task('t', async ({ input }: TaskContext<number>) => {
        if (input === 0) await go.promise;
        return input;
      });
      other.task('t', ({ input }: TaskContext<number>) => byOther.push(input));
      const worker = await h.worker({ claimAhead: 10, leaseTtl: leaseTtlMs });
      const runs = await task.runMany([0, 1, 2, 3]);
      await h.pass(1);
      expect(worker.stats()).toMatchObject({ running: 1, ahead: 3 });
      await other.worker({ sweepInterval: '7d', engine: false });
      await h.pass(heldMs - 10);
      expect(byOther).toEqual([]);
      await h.pass(20);
      expect(byOther).toEqual([1, 2, 3]);
      expect(worker.stats()).toMatchObject({ running: 1, ahead: 0, released: 3 });
      go.resolve();
      await h.pass(10);
      expect(await Promise.all(runs.slice(0, 1).map((run) => run.result()))).toEqual([0]);
      await other.close();
    },
  );

  it('is not claimed again while the long task runs, and then only as much as can start in time', async () => {
    h = harness();
    const seconds = (ms: number): Promise<void> => new Promise((resolve) => void h.clock.after(ms, resolve));
    const task = h.a.task('t', async ({ input }: TaskContext<number>) => {
      await seconds(input);
      return input;
    });
    const worker = await h.worker({ claimAhead: 50, leaseTtl: '30s' });
    const runs = await task.runMany([600_000, ...Array.from({ length: 100 }, () => 1_000)]);
    await h.pass(590_000);
    // Everything that was held was handed back once, and left to others since.
    expect(worker.stats()).toMatchObject({ claimed: 51, released: 50, ahead: 0 });
    await h.pass(130_000);
    expect(worker.stats()).toMatchObject({ completed: 101, lost: 0, failed: 0 });
    expect(await runs[100]?.state()).toBe('completed');
    // One in hand, and some ahead of it: hand-backs stay few, and the slot is never idle.
    expect(worker.stats().released).toBeLessThan(50 + 40);
  });

  it('starts by priority, and in order of arrival among equals', () => {
    h = harness();
    const clock = new ManualClock();
    const handedBack: string[] = [];
    const ahead = new Ahead({
      clock,
      leaseTtlMs: 30_000,
      claimAhead: 10,
      onLimit: () => undefined,
      onOverdue: ({ executionId }) => handedBack.push(executionId),
    });
    const waits = (executionId: string, priority: number): void =>
      ahead.add({ executionId, priority } as unknown as Attempt);
    waits('a', 0);
    waits('b', 5);
    waits('c', 0);
    waits('d', 5);
    waits('e', 9);
    expect(Array.from({ length: 6 }, () => ahead.next()?.executionId)).toEqual(['e', 'b', 'd', 'a', 'c', undefined]);
  });

  it('is handed back by age, not by position', async () => {
    h = harness();
    const clock = new ManualClock();
    const handedBack: string[] = [];
    const limits: number[] = [];
    const ahead = new Ahead({
      clock,
      leaseTtlMs: 30_000,
      claimAhead: 10,
      onLimit: (count) => limits.push(count),
      onOverdue: ({ executionId }) => handedBack.push(executionId),
    });
    const waits = (executionId: string, priority: number): void =>
      ahead.add({ executionId, priority } as unknown as Attempt);
    waits('old', 0);
    await clock.pass(2_000);
    waits('urgent', 9);
    ahead.started();
    ahead.started();
    await clock.pass(2_999);
    expect(handedBack).toEqual([]);
    await clock.pass(1);
    expect([handedBack, limits]).toEqual([['old'], [2]]);
    await clock.pass(1_999);
    expect(handedBack).toEqual(['old']);
    await clock.pass(1);
    expect(handedBack).toEqual(['old', 'urgent']);
    expect(clock.pending).toBe(0);
  });

  it('of a kind without a handler is handed back without waiting for a slot', async () => {
    h = harness();
    const go = deferred();
    const known = h.a.task('known', { lane: 'l' }, () => go.promise);
    // A claim names 256 kinds at most; a worker with more claims work of any kind.
    for (let n = 0; n < 256; n++) h.a.task(`other-${n}`, { lane: 'l' }, () => n);
    const stranger = app({ backend: h.backend, clock: h.clock, closeBackend: false });
    const unknown = stranger.task('unknown', { lane: 'l' }, () => 1);
    const worker = await h.worker({ claimAhead: 5 });
    await known.run();
    await h.pass(1);
    await unknown.run();
    await h.pass(5);
    expect(worker.stats()).toMatchObject({ running: 1, ahead: 0 });
    expect(worker.stats().released).toBeGreaterThan(0);
    go.resolve();
    await stranger.close();
  });

  it.each([0, 20])('has the whole time of its attempt, and no more, with %i ahead', async (claimAhead) => {
    h = harness();
    const task = h.a.task('t', { timeout: { attempt: '1s' } }, async ({ input, signal }: TaskContext<number>) => {
      await h.sleep(input);
      return signal.aborted;
    });
    const worker = await h.worker({ claimAhead });
    const runs = await task.runMany([...Array.from({ length: 30 }, () => 400), 1_500]);
    await h.pass(60_000);
    const states = await Promise.all(runs.map((run) => run.state()));
    expect(states).toEqual([...Array.from({ length: 30 }, () => 'completed'), 'expired']);
    expect(worker.stats()).toMatchObject({ completed: 30, timedOut: 1 });
  });
});

describe('the begin of an attempt that was claimed ahead', () => {
  const FENCE = { leaseId: 'l', leaseEpoch: 1, attemptId: 'a', token: 't' };

  function setUp(answers: readonly (unknown | Error)[], ids: readonly string[] = ['x']) {
    h = harness();
    const clock = new ManualClock(0.5);
    const sent: string[][] = [];
    const commands: Command[] = [];
    const errors: unknown[] = [];
    const execute = (async (batch: readonly Command[]) => {
      commands.push(...batch);
      const executionIds = batch.map(({ args }) => (args as { executionId: string }).executionId);
      sent.push(executionIds);
      const answer = answers[sent.length - 1];
      if (answer instanceof Error) throw answer;
      return Array.isArray(answer) ? (answer as unknown[]) : executionIds.map(() => answer);
    }) as unknown as Backend['execute'];
    const beginner = new Beginner({ backend: { execute }, clock, onError: (error) => errors.push(error) });
    const seen: unknown[] = [];
    const attempts = ids.map((executionId) => ({
      executionId,
      partition: executionId.startsWith('p1') ? '{fp:1}' : '{fp:0}',
      fence: FENCE,
      isLive: true,
      endAt: (at: number) => seen.push([executionId, 'ends', at]),
      refused: (error: EngineError) => seen.push([executionId, 'refused', error.code]),
    }));
    for (const attempt of attempts) beginner.begin(attempt as unknown as Attempt);
    return { clock, sent, commands, errors, seen, attempts };
  }

  it('is sent for attempts with a timeout only', async () => {
    const begun: string[] = [];
    h = harness((inner) => ({
      execute: answering(inner, (name, args) => {
        if (name === 'beginAttempt') begun.push((args as { executionId: string }).executionId);
        return undefined;
      }),
    }));
    const go = deferred();
    const slow = h.a.task('slow', async () => go.promise);
    const bounded = h.a.task('bounded', { timeout: { attempt: '1m' } }, async () => go.promise);
    await h.worker({ claimAhead: 4, slots: 4 });
    await slow.run(undefined);
    const run = await bounded.run(undefined);
    await h.pass(100);
    expect(begun).toEqual([run.id]);
    go.resolve();
    await h.pass(10);
  });

  const begun = (attemptTimeoutAt?: number) => ({ ok: true, outcome: { kind: 'begun', attemptTimeoutAt } });
  const refused = (code: ErrorCode) => ({ ok: false, error: new EngineError(code, 'x.') });

  it('is sent with the fence, and answers with the end of the attempt', async () => {
    const { clock, commands, seen } = setUp([begun(7)]);
    await clock.pass(0);
    expect(commands).toEqual([
      { name: 'beginAttempt', args: { executionId: 'x', fence: { leaseId: 'l', leaseEpoch: 1, attemptId: 'a' } } },
    ]);
    expect(seen).toEqual([['x', 'ends', 7]]);
  });

  it('shares a call with others of its turn and partition, unless its handler has ended by then', async () => {
    const { clock, sent, attempts } = setUp([begun(), begun()], ['a', 'b', 'p1-c', 'd']);
    (attempts[1] as { isLive: boolean }).isLive = false;
    await clock.pass(0);
    expect(sent).toEqual([['a', 'd'], ['p1-c']]);
  });

  it('is repeated after a fault while the handler runs', async () => {
    const timeout = new EngineError('call_timeout', 'x.');
    const { clock, sent, errors, attempts, seen } = setUp(
      [timeout, [begun(1), refused('call_timeout')], timeout],
      ['a', 'b'],
    );
    await clock.pass(0);
    await clock.pass(50);
    await clock.pass(100);
    expect(sent).toEqual([['a', 'b'], ['a', 'b'], ['b']]);
    expect(seen).toEqual([['a', 'ends', 1]]);
    (attempts[1] as { isLive: boolean }).isLive = false;
    await clock.pass(60_000);
    expect([sent.length, errors.length]).toEqual([3, 3]);
  });

  it('reports a refusal to the attempt', async () => {
    const { clock, seen } = setUp([refused('lease_revoked')]);
    await clock.pass(0);
    expect(seen).toEqual([['x', 'refused', 'lease_revoked']]);
  });
});
