/** However an attempt ends from outside, its handler is told why, and the worker says what became of it. */
import { afterEach, describe, expect, it } from 'vitest';
import { partitionOfExecution } from '../../model/ids.js';
import {
  backoff,
  EngineError,
  type FinishedOutcome,
  type TaskContext,
  type Worker,
  type WorkerStats,
} from '../../src/index.js';
import type { TaskAbort, TaskAbortCode } from '../../src/worker/index.js';
import type { TaskOptions } from '../../src/app/index.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { harness, type Harness } from './harness.js';

let h: Harness;
afterEach(() => h.close());

interface Way {
  readonly name: string;
  readonly task?: Pick<TaskOptions<undefined, undefined>, 'timeout' | 'retry'>;
  /** Ends the running attempt from outside. */
  readonly take: (id: string, worker: Worker) => unknown;
  /** Why the handler is told to stop. */
  readonly code: TaskAbortCode;
  readonly detail?: string;
  readonly outcome: FinishedOutcome;
  /** The counter of the worker that counts it. */
  readonly counter: keyof WorkerStats;
  /** What `leaseLost` says; undefined if there is no such event. */
  readonly lost?: TaskAbortCode;
  /** Whether the handler ignores its signal. */
  readonly isDeaf?: boolean;
}

const cancelled = { code: 'cancelled', outcome: 'cancelled', counter: 'cancelled', lost: 'cancelled' } as const;
const lost = { outcome: 'lost', counter: 'lost' } as const;
const timedOut = { outcome: 'timed_out', counter: 'timedOut' } as const;
const released = { code: 'shutdown', outcome: 'released', counter: 'released' } as const;

/** No renewal gets through from now on. */
let isCutOff = false;

const cancelElsewhere = (executionId: string) =>
  h.inner.cancelExecution({ executionId, reason: 'elsewhere', source: 'operator_override' });
/** Lets another member of its flow win the race. */
const race = (): void => win();
let win: () => void;

const WAYS: readonly Way[] = [
  { name: 'cancelled in this process', take: (id) => h.a.get(id).cancel('enough'), ...cancelled, detail: 'enough' },
  { name: 'cancelled by another process', take: cancelElsewhere, ...cancelled },
  { name: 'cancelled, and the handler does not listen', take: cancelElsewhere, ...cancelled, isDeaf: true },
  { name: 'no longer needed by its flow', take: race, ...cancelled },
  {
    name: 'revoked by an operator',
    take: (executionId) => h.inner.revokeLease({ executionId }),
    ...{ code: 'lease_revoked', ...lost, lost: 'lease_revoked' },
  },
  {
    name: 'past its deadline',
    task: { timeout: { total: '5s' } },
    take: () => h.pass(5_000),
    ...{ code: 'deadline', ...timedOut },
  },
  {
    name: 'past the timeout of its last attempt',
    task: { timeout: { attempt: '5s' } },
    take: () => h.pass(5_000),
    ...{ code: 'attempt_timeout', ...timedOut },
  },
  {
    name: 'past the timeout of an attempt that is retried',
    task: { timeout: { attempt: '5s' }, retry: { failures: 1, backoff: backoff.fixed('1h') } },
    take: () => h.pass(5_000),
    ...{ code: 'attempt_timeout', ...timedOut },
  },
  {
    name: 'out of reach until its lease is over',
    take: () => (isCutOff = true),
    ...{ code: 'lease_lost', ...lost, lost: 'lease_lost' },
  },
  {
    name: 'taken over by another worker',
    take: async (executionId) => {
      await h.inner.revokeLease({ executionId });
      await h.worker({ slots: 1 });
    },
    ...{ code: 'lease_lost', ...lost, lost: 'lease_lost' },
  },
  { name: 'in a worker that drains', take: (_, worker) => void worker.drain({ timeout: '10s' }), ...released },
  {
    name: 'in a worker that drains, and the handler does not listen',
    take: (_, worker) => void worker.drain({ timeout: '10s' }),
    ...released,
    isDeaf: true,
  },
  {
    name: 'cancelled after a drain told it to stop',
    take: async (id, worker) => {
      void worker.drain({ timeout: '10s' });
      await h.pass(9_500);
      await cancelElsewhere(id);
    },
    ...cancelled,
    ...{ code: 'shutdown', isDeaf: true },
  },
];

describe('an attempt that is', () => {
  it.each(WAYS)('$name', async (way) => {
    isCutOff = false;
    h = harness((inner) => ({
      execute: (commands) => {
        const isCut = isCutOff && commands.some(({ name }) => name === 'renewLease');
        return isCut ? Promise.reject(new EngineError('transport_failed', 'cut off')) : inner.execute(commands);
      },
    }));
    const reasons: TaskAbort[] = [];
    const started: string[] = [];
    const hang = h.a.task('hang', { ...way.task }, async ({ signal, executionId }) => {
      started.push(executionId);
      if (started.length > 1) return;
      const told = new Promise<void>((resolve) =>
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason as TaskAbort);
          resolve();
        }),
      );
      await (way.isDeaf ? h.sleep(600_000) : told);
      signal.throwIfAborted();
    });
    const winner = h.a.task('winner', () => new Promise<void>((resolve) => (win = resolve)));
    const join = h.a.task('join', ({ input }: TaskContext<unknown>) => input);
    const flow = h.a.flow('race', (f) => void f.run(join, f.any([f.run(hang), f.run(winner)])));
    const worker = await h.worker({ slots: way.take === race ? 2 : 1, leaseTtl: '3s', abortGrace: '1s' });
    const finished: FinishedOutcome[] = [];
    const losses: string[] = [];
    worker.on('finished', ({ executionId, outcome }) => executionId === started[0] && finished.push(outcome));
    worker.on('leaseLost', ({ reason }) => losses.push(reason));
    await (way.take === race ? flow : hang).run();
    await h.until(() => started.length === 1);
    const [id = ''] = started;
    const before = worker.stats()[way.counter] as number;
    await way.take(id, worker);
    await h.until(() => finished.length > 0);
    await h.pass(100);
    expect(reasons.map(({ code }) => code)).toEqual([way.code]);
    if (way.detail !== undefined) expect(reasons[0]?.detail).toBe(way.detail);
    expect(finished[0]).toBe(way.outcome);
    expect(worker.stats()[way.counter]).toBe(before + 1);
    expect(losses).toEqual(way.lost === undefined ? [] : [way.lost]);
    const said = h.said.flatMap(([level, line]) =>
      line.startsWith('Task "hang" lost attempt') ? `${level} ${line}` : [],
    );
    const isTold = way.outcome === 'lost' || way.outcome === 'timed_out';
    expect(said).toEqual(
      isTold ? [expect.stringContaining(`warn Task "hang" lost attempt 1 of ${id}. ${way.code}: `)] : [],
    );
  });

  it.each(['this', 'another'] as const)(
    'past its timeout is timed out, even if %s worker claims the retry before the first worker learns of the end',
    async (claimer) => {
      h = harness();
      let calls = 0;
      const told: string[] = [];
      const options = { timeout: { attempt: '5s' }, retry: { failures: 1, backoff: backoff.fixed(1) } } as const;
      const deaf = h.a.task('deaf', options, async ({ signal }: TaskContext<void>) => {
        if (++calls === 1) signal.addEventListener('abort', () => told.push((signal.reason as TaskAbort).code));
        await h.sleep(7_000);
      });
      const worker = await h.worker({ slots: claimer === 'this' ? 2 : 1, abortGrace: '1m', engine: false });
      const finished: string[] = [];
      const losses: string[] = [];
      worker.on('finished', ({ outcome }) => finished.push(outcome));
      worker.on('leaseLost', ({ reason }) => losses.push(reason));
      const { id } = await deaf.run();
      await h.until(() => calls === 1);
      await h.pass(5_100);
      // The timer loop of another process: no news reach this worker.
      const partition = partitionOfExecution(id);
      for (let step = 0; step < 2; step++) {
        await h.inner.applyDue({ partition });
        await h.pass(10);
      }
      if (claimer === 'another') await h.worker({ slots: 1, engine: false });
      await h.until(() => calls === 2);
      await h.pass(3_000);
      expect(told).toEqual(['attempt_timeout']);
      expect(losses).toEqual(['attempt_timeout']);
      expect(finished).toEqual(['timed_out']);
      expect(worker.stats()).toMatchObject({ timedOut: 1, lost: 0 });
    },
  );

  it('cancelled, and past its timeout before the reason is known, is reported as ended once', async () => {
    const never = new Promise<never>(() => undefined);
    h = harness(() => ({ readExecutionInfo: () => never }));
    const started: string[] = [];
    const task = h.a.task('t', { timeout: { attempt: '5s' } }, async ({ signal, executionId }: TaskContext<void>) => {
      started.push(executionId);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      signal.throwIfAborted();
    });
    const worker = await h.worker({ slots: 1 });
    const events: string[] = [];
    worker.on('finished', ({ outcome }) => events.push(outcome));
    worker.on('leaseLost', ({ reason }) => events.push(`lost: ${reason}`));
    await task.run();
    await h.until(() => started.length === 1);
    await h.pass(4_800);
    await cancelElsewhere(started[0] ?? '');
    await h.pass(2_000);
    expect(events).toEqual(['timed_out']);
  });

  it('cancelled, tells its handler the reason if that had arrived in time and was read late', async () => {
    let asked: { readonly at: number; readonly answer: () => void } | undefined;
    const clock = new (class extends VirtualClock {
      afterIo(fn: () => void): void {
        if (asked !== undefined && this.now() >= asked.at + 500) asked.answer();
        setImmediate(fn);
      }
    })(0);
    h = harness(
      (inner) => ({
        readExecutionInfo: (args) =>
          new Promise((answer) => (asked ??= { at: clock.now(), answer: () => answer(inner.readExecutionInfo(args)) })),
      }),
      { clock },
    );
    const details: string[] = [];
    const task = h.a.task('t', async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      details.push((signal.reason as TaskAbort).detail);
    });
    const worker = await h.worker({ leaseTtl: '3s' });
    const run = await task.run();
    await h.until(() => worker.stats().running === 1);
    await cancelElsewhere(run.id);
    await h.pass(5_000);
    expect(details).toEqual(['elsewhere']);
  });

  it.each(['ahead', 'input'] as const)(
    'cancelled before its handler is called (%s) is cancelled as well',
    async (why) => {
      const never = new Promise<never>(() => undefined);
      h = harness(() => (why === 'input' ? { readExecutionContext: () => never } : {}));
      const task = h.a.task('t', () => h.sleep(60_000));
      const worker = await h.worker({ slots: 1, claimAhead: 1 });
      const finished: unknown[] = [];
      worker.on('finished', ({ executionId, outcome }) => finished.push([executionId, outcome]));
      if (why === 'ahead') await task.run();
      const run = await task.run(why === 'input' ? 'x'.repeat(100_000) : undefined);
      await h.until(() => worker.stats().ahead === 1);
      await run.cancel();
      await h.pass(10);
      expect(finished).toEqual([[run.id, 'cancelled']]);
      expect(worker.stats()).toMatchObject({ ahead: 0, cancelled: 1, lost: 0 });
    },
  );
});
