/** How a worker comes by the results that its work depends on: they come with the claim, and the rest is read. */
import { expect, test } from 'vitest';
import { EngineError, type TaskContext } from '../../src/index.js';
import { Attempt } from '../../src/worker/attempt/attempt.js';
import { deferred } from '../app/support.js';
import { harness } from './harness.js';

/** How often the store was asked for what a claim did not bring. */
async function reads(sizes: readonly number[]): Promise<{ edges: number; results: number; joined: unknown }> {
  const asked = { edges: 0, results: 0 };
  const h = harness((inner) => ({
    listEdges: (args) => {
      asked.edges += 1;
      return inner.listEdges(args);
    },
    readExecutionInfo: (args) => {
      if (args.withResult === true) asked.results += 1;
      return inner.readExecutionInfo(args);
    },
  }));
  const part = h.a.task('part', ({ input }: TaskContext<{ size: number }>) =>
    input.size === 0 ? undefined : 'x'.repeat(input.size),
  );
  const join = h.a.task('join', ({ input }: TaskContext<{ parts: (string | undefined)[] }>) =>
    input.parts.map((text) => text?.length ?? 'none'),
  );
  const flow = h.a.flow('sizes', (f) => {
    const parts = sizes.map((size) => f.run(part, { size }));
    return f.run(join, { parts });
  });
  await h.worker();
  const run = await flow.run();
  await h.until(async () => (await run.state()) === 'completed');
  const counted = { ...asked };
  const joined = await h.flow(run.result());
  await h.close();
  return { ...counted, joined };
}

test('a worker does not read results that came with the claim', async () => {
  expect(await reads([3, 600_000, 0])).toEqual({ edges: 0, results: 0, joined: [3, 600_000, 'none'] });
});

test('a worker reads only the results that did not fit into the claim', async () => {
  const { edges, results, joined } = await reads([3, 700_000, 700_000]);
  expect(joined).toEqual([3, 700_000, 700_000]);
  expect([edges, results]).toEqual([1, 1]);
});

test('reading them does not count against the attempt timeout', async () => {
  const takesMs = 3_000;
  const h = harness((inner, clock) => ({
    listEdges: async (args) => {
      await new Promise<void>((resolve) => void clock.after(takesMs, resolve));
      return inner.listEdges(args);
    },
  }));
  const part = h.a.task('part', () => 'x'.repeat(700_000));
  type Parts = TaskContext<{ parts: string[] }>;
  const timeout = { attempt: '2s' } as const;
  const join = h.a.task('join', { timeout }, ({ input }: Parts) => input.parts.length);
  const hang = h.a.task('hang', { timeout, retry: { failures: 0 } }, ({ signal }: Parts) => {
    return new Promise<number>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  const joined = h.a.flow('joined', (f) => f.run(join, { parts: [f.run(part), f.run(part)] }));
  const hanging = h.a.flow('hanging', (f) => f.run(hang, { parts: [f.run(part), f.run(part)] }));
  await h.worker();
  expect(await h.flow(joined.run().result())).toBe(2);
  const startedAt = h.clock.now();
  await expect(h.flow(hanging.run().result())).rejects.toMatchObject({ code: 'run_expired', task: 'hang' });
  // The time of the results, and that of the handler.
  expect(h.clock.now() - startedAt).toBeGreaterThanOrEqual(takesMs + 2_000);
  await h.close();
});

/** A worker with one slot, which holds work whose results of upstreams it cannot read while `state.fails`. */
async function unreadable(call: 'listEdges' | 'readExecutionInfo', how: 'fails' | 'hangs' = 'fails') {
  const state = { fails: call as typeof call | undefined, reads: 0 };
  const fault = (): Promise<never> => {
    state.reads++;
    return how === 'hangs' ? deferred<never>().promise : Promise.reject(new EngineError('call_timeout', 'slow.'));
  };
  const h = harness((inner) => ({
    listEdges: (args) => (state.fails === 'listEdges' ? fault() : inner.listEdges(args)),
    readExecutionInfo: (args) =>
      state.fails === 'readExecutionInfo' && args.withResult === true ? fault() : inner.readExecutionInfo(args),
  }));
  const part = h.a.task('part', () => 'x'.repeat(700_000));
  const called: string[] = [];
  const join = h.a.task('join', ({ input, executionId }: TaskContext<{ parts: string[] }>) => {
    called.push(executionId);
    return input.parts.length;
  });
  const flow = h.a.flow('joined', (f) => f.run(join, { parts: [f.run(part), f.run(part)] }));
  const worker = await h.worker({ slots: 1 });
  const run = await flow.run();
  await h.until(() => state.reads > 0);
  return { h, state, worker, run, called };
}

test.each(['listEdges', 'readExecutionInfo'] as const)(
  'work whose results cannot be read (%s) is handed back after a third of the lease, at most 5 s, with a report',
  async (call) => {
    const { h, state, worker, run, called } = await unreadable(call);
    await h.pass(3_000);
    expect(worker.stats()).toMatchObject({ claimed: 3, running: 1, released: 0 });
    await h.pass(400);
    expect(worker.stats().released).toBeGreaterThan(0);
    expect(h.said.filter(([level]) => level === 'warn' || level === 'error')).not.toEqual([]);
    expect(called).toEqual([]);
    state.fails = undefined;
    expect(await h.flow(run.result())).toBe(2);
    expect(worker.stats()).toMatchObject({ failed: 0, lost: 0 });
    await h.close();
  },
);

test('the time until the hand-back counts from the last answer', async () => {
  const { h, state, worker, run } = await unreadable('listEdges');
  await h.pass(3_000);
  state.fails = 'readExecutionInfo';
  await h.pass(3_000);
  state.fails = undefined;
  expect(await h.flow(run.result())).toBe(2);
  expect(worker.stats()).toMatchObject({ completed: 3, released: 0 });
  await h.close();
});

test.each(['fails', 'hangs'] as const)('a draining worker hands it back at once (its read %s)', async (how) => {
  const { h, worker, called } = await unreadable('listEdges', how);
  const startedAt = h.clock.now();
  await h.flow(worker.drain());
  expect(h.clock.now() - startedAt).toBeLessThan(1_000);
  expect(worker.stats()).toMatchObject({ running: 0, released: 1, lost: 0 });
  expect(called).toEqual([]);
  await h.close();
});

test('a lost run frees its slot, also while its read hangs', async () => {
  const { h, worker, run } = await unreadable('listEdges', 'hangs');
  await run.cancel();
  await h.until(() => worker.stats().cancelled > 0);
  expect(worker.stats()).toMatchObject({ running: 0, released: 0, cancelled: 1, stuck: 0 });
  await h.close();
});

test.each([
  [2_000, 60_000, 'attempt_timeout'],
  [60_000, 30_000, 'deadline'],
])(
  'a run that expired before the begin of its attempt was answered, with %i ms left and a deadline in %i ms, ended by %s',
  (attemptTimeoutRemainingMs, deadlineMs, expected) => {
    const { clock } = harness();
    const claimed = {
      executionId: '{fp:0}:00000000-0000-4000-a000-000000000001',
      leaseExpiresAt: clock.now() + 30_000,
      attemptTimeoutRemainingMs,
      executionDeadlineAt: clock.now() + deadlineMs,
    } as ConstructorParameters<typeof Attempt>[0];
    const ignore = (): void => undefined;
    const [lost, cancelled, aborted, suspended] = [ignore, ignore, ignore, ignore];
    const hooks = { lost, cancelled, aborted, suspended, held: ignore, listenerFailed: ignore };
    const attempt = new Attempt(claimed, 'lane', clock, 30_000, clock.now(), hooks);
    const refusal = new EngineError('execution_not_active', 'ended.', { detail: { terminalOutcome: 'expired' } });
    expect(attempt.lossBy(refusal)).toBe(expected);
  },
);
