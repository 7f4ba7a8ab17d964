/** The registry of workers as an app keeps it and shows it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { app, memory, type App, type TaskContext, type WorkerRow } from '../../src/index.js';
import { EngineError } from '../../model/errors.js';
import { LIMITS } from '../../model/limits.js';
import type { Command } from '../../model/machine.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { harness, type Harness } from '../worker/harness.js';
import { deferred, rejectionOf, until } from './support.js';

const rowsOf = async (rows: AsyncIterable<WorkerRow>): Promise<WorkerRow[]> => {
  const found: WorkerRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
};

describe('the registry under a virtual clock', () => {
  let h: Harness | undefined;
  afterEach(() => h?.close());

  it('shows a worker from its start, hears it every third of its liveness, and drops it when it is drained', async () => {
    const calls: string[] = [];
    const noted = <Args, Answer>(call: string, make: (args: Args) => Answer): ((args: Args) => Answer) => {
      return (args) => {
        calls.push(call);
        return make(args);
      };
    };
    h = harness((inner) => ({
      registerWorker: noted('register', inner.registerWorker),
      heartbeatWorker: noted('heartbeat', inner.heartbeatWorker),
      markWorkerDead: noted('leave', inner.markWorkerDead),
    }));
    const { a, clock } = h;
    a.task('resize', { lane: 'images:small' }, () => 1);
    const start = clock.now();
    const worker = await h.worker({ capabilities: ['gpu'], slots: 3, liveness: '30s', workerId: 'pool' });
    const row = {
      ...{ id: worker.workerInstanceId, pool: 'pool', lanes: ['images:small'], capabilities: ['gpu'] },
      ...{ kinds: ['resize'], slots: 3, running: 0, draining: false },
      ...{ since: start, heardAt: start, expiresAt: start + 30_000 },
    };
    expect(await rowsOf(a.workers())).toEqual([row]);
    await h.pass(100_000);
    expect(calls).toEqual(['register', ...Array<string>(10).fill('heartbeat')]);
    expect(await rowsOf(a.workers())).toEqual([{ ...row, heardAt: start + 100_000, expiresAt: start + 130_000 }]);
    await h.flow(worker.close());
    expect(calls.at(-1)).toBe('leave');
    expect(await rowsOf(a.workers())).toEqual([]);
    await h.pass(100_000);
    expect(calls).toHaveLength(12);
  });

  it('a new worker releases the work that was blocked for its capabilities only, also after a failed first try', async () => {
    let isAway = true;
    h = harness((inner) => ({
      listExecutionSummaries: (args) =>
        isAway ? Promise.reject(new EngineError('transport_failed', 'away')) : inner.listExecutionSummaries(args),
    }));
    const { a } = h;
    const backend = await a.backend();
    const render = a.task('render', { lane: 'images', needs: ['gpu'] }, () => 'rendered');
    const mail = a.task('mail', { lane: 'images', needs: ['smtp'] }, () => 'sent');
    const [rendered, mailed, held] = await Promise.all([render.run(), mail.run(), render.run()]);
    for (const { id } of [rendered, mailed])
      await backend.blockRoute({ executionId: id, reasonDetail: 'nobody has it' });
    await backend.blockExecutionForAdmission({ executionId: held.id, blockingReason: 'paused_by_policy' });
    await h.worker({ capabilities: ['gpu'], tasks: [render] });
    isAway = false;
    await h.pass(10_000);
    expect(await h.flow(rendered.result())).toBe('rendered');
    expect(await Promise.all([mailed, held].map((run) => run.state()))).toEqual(['waiting', 'waiting']);
    expect((await a.counts()).reasons).toMatchObject({ waiting_for_capable_worker: 1, paused_by_policy: 1 });
  });

  it('shows what a worker has in hand, that it drains, and the tasks that it got later', async () => {
    h = harness();
    const { a } = h;
    const gate = deferred();
    const task = a.task('slow', () => gate.promise);
    const worker = await h.worker({ slots: 2 });
    a.task('later', { lane: 'other' }, () => 1);
    await h.pass(0);
    expect(await rowsOf(a.workers({ lane: 'other', kind: 'later' }))).toMatchObject([
      { lanes: ['slow', 'other'].sort() },
    ]);
    const run = task.run();
    await h.until(() => worker.stats().running === 1);
    await h.pass(10_000);
    expect(await rowsOf(a.workers())).toMatchObject([{ running: 1, draining: false }]);
    const drained = worker.drain();
    await h.pass(0);
    expect(await rowsOf(a.workers())).toMatchObject([{ running: 1, draining: true }]);
    expect(await rowsOf(a.workers({ lane: 'slow' }))).toEqual([]);
    gate.resolve();
    await h.flow(Promise.all([drained, run.result()]));
    expect(await rowsOf(a.workers())).toEqual([]);
  });

  it('a failed call is repeated with the next heartbeat and delays no work; a lapsed worker registers again', async () => {
    let away = true;
    h = harness((inner) => {
      const fail = (): Promise<never> => Promise.reject(new EngineError('transport_failed', 'away'));
      return {
        registerWorker: (args) => (away ? fail() : inner.registerWorker(args)),
        heartbeatWorker: (args) => (away ? fail() : inner.heartbeatWorker(args)),
      };
    });
    const { a } = h;
    const task = a.task('t', () => 'done');
    await h.worker();
    expect(await h.flow(task.run().result())).toBe('done');
    expect(await rowsOf(a.workers())).toEqual([]);
    away = false;
    await h.pass(10_000);
    const [first] = await rowsOf(a.workers());
    expect(first).toBeDefined();
    away = true;
    await h.pass(40_000);
    expect(await rowsOf(a.workers())).toEqual([]);
    away = false;
    await h.pass(10_000);
    const [again] = await rowsOf(a.workers());
    expect(again?.since).toBeGreaterThan(first?.since ?? Infinity);
    expect(h.said.filter(([level]) => level === 'warn')).toEqual([]);
  });

  it('a worker with liveness: false does not register', async () => {
    h = harness();
    h.a.task('t', () => 1);
    await h.worker({ liveness: false });
    expect(await rowsOf(h.a.workers())).toEqual([]);
    expect(await rejectionOf(h.worker({ liveness: '10ms' }))).toMatchObject({ name: 'InvalidDefinitionError' });
    expect(await rejectionOf(rowsOf(h.a.workers({ lanes: ['t'] } as never)))).toMatchObject({
      name: 'InvalidDefinitionError',
    });
  });
});

let server: ValkeyServer;
beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server?.stop());

let deployments = 0;
const BACKENDS: readonly (readonly [string, () => Promise<Backend>])[] = [
  ['memory', async () => memory({ partitions: { count: 4 } })],
  ['valkey', () => valkey({ url: server.url, prefix: `registry${deployments++}:`, partitions: { count: 4 } })],
];

describe.each(BACKENDS)('on %s', (_, open) => {
  let apps: App[] = [];
  afterEach(async () => {
    await Promise.all(apps.map((a) => a.close()));
    apps = [];
  });

  it('the work of a worker is listed, and is taken over once the worker is marked dead', async () => {
    const backend = await open();
    const a = app({ backend });
    apps.push(a);
    const gate = deferred();
    const seen: string[] = [];
    const task = a.task('t', ({ executionId }: TaskContext<unknown>) => {
      seen.push(executionId);
      return seen.length <= 3 ? gate.promise : undefined;
    });
    const doomed = await a.worker({ slots: 3 });
    const runs = await task.runMany([undefined, undefined, undefined]);
    await until(() => doomed.stats().running === 3);
    const inHand = async (): Promise<string[]> => {
      const ids: string[] = [];
      for await (const { id, worker } of a.runs({ worker: doomed.workerInstanceId })) {
        expect(worker).toBe(doomed.workerInstanceId);
        ids.push(id);
      }
      return ids.sort();
    };
    expect(await inHand()).toEqual(runs.map(({ id }) => id).sort());
    const other = await a.worker({ slots: 3 });
    expect((await rowsOf(a.workers())).map(({ id }) => id)).toContain(other.workerInstanceId);
    const report = await a.markWorkerDead(doomed.workerInstanceId, { revoke: true, reason: 'its machine is gone' });
    expect(report).toEqual({ wasRegistered: true, revoked: 3, complete: true });
    await until(() => seen.length === 6);
    gate.resolve();
    await Promise.all(runs.map((run) => run.result()));
    expect(await inHand()).toEqual([]);
  });

  it('a namespace has a maximum number of workers', async () => {
    await using backend = await open();
    const registering = (i: number): Command => ({
      name: 'registerWorker',
      args: { namespace: 'n', workerInstanceId: `w-${i}`, workerId: 'w', livenessTtlMs: 60_000, lanes: ['l'] },
    });
    const register = async (from: number, count: number): Promise<unknown> =>
      (await backend.execute(Array.from({ length: count }, (_, i) => registering(from + i)))).at(-1);
    const size = LIMITS.maxBatchCommands;
    for (let from = 0; from < LIMITS.maxWorkers; from += size)
      expect(await register(from, size)).toMatchObject({ outcome: { kind: 'registered' } });
    expect(await register(LIMITS.maxWorkers, 1)).toMatchObject({
      ok: false,
      error: { code: 'too_many_workers', detail: { maxWorkers: String(LIMITS.maxWorkers) } },
    });
    expect(await register(0, 1)).toMatchObject({ outcome: { kind: 'refreshed' } });
  });
});

describe('an app that is closed while a worker starts', () => {
  it('leaves no registered worker behind, and nothing that keeps the process alive', async () => {
    const backend = memory();
    const onWake = backend.onWake.bind(backend);
    const subscribing = deferred();
    const gate = deferred();
    backend.onWake = async (...args) => {
      subscribing.resolve();
      await gate.promise;
      return onWake(...args);
    };
    const a = app({ backend, closeBackend: false });
    a.task('t', () => 1);
    const starting = a.worker({ liveness: '30s' }).catch(() => undefined);
    await subscribing.promise;
    const closing = a.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    gate.resolve();
    await Promise.all([starting, closing]);
    expect(await backend.listWorkers({ namespace: 'default' })).toMatchObject({ workers: [] });
    await backend.close();
  });
});
