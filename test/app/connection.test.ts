/** Coming to a backend that is not there yet, or never, and leaving it. */
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  app,
  EngineError,
  memory,
  valkey,
  type App,
  type AppOptions,
  type Backend,
  type TaskContext,
} from '../../src/index.js';
import { Lazy } from '../../src/shared/lazy.js';
import { VirtualClock } from '../../src/testing/virtual-clock.js';
import { collectingLog, deferred, rejectionOf } from './support.js';

let a: App;
afterEach(() => a?.close());

const away = (): EngineError => new EngineError('transport_failed', 'server:1 cannot be reached.');

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A server that is away for so many tries, or for good. */
function opensAfter(failures: number, error: () => unknown = away) {
  const state = { tries: 0, failures, backend: memory(), closes: 0 };
  const close = state.backend.close.bind(state.backend);
  state.backend.close = async () => {
    state.closes++;
    await close();
  };
  const open = async (): Promise<Backend> => {
    if (state.tries++ < state.failures) throw error();
    return state.backend;
  };
  return { state, open };
}

function clockedApp(options: Partial<AppOptions> & Pick<AppOptions, 'backend'>) {
  const clock = new VirtualClock(0);
  const { log, lines } = collectingLog();
  a = app({ clock, log, ...options });
  return { clock, lines };
}

const isRead = (name: string | symbol): boolean => /^(read|describe|get|list|watch|serverTime|on)/.test(String(name));

/** A store that answers no read while it is away. */
function leavingStore() {
  const inner = memory();
  const state = { isAway: false, backend: inner };
  state.backend = new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      if (state.isAway && isRead(name)) return () => Promise.reject(away());
      return member.bind(target) as unknown;
    },
  });
  return state;
}

describe('a store that is unreachable for a while', () => {
  it('is awaited by all reads of a run or a flow, and by callers that wait for a result', async () => {
    const store = leavingStore();
    const { clock } = clockedApp({ backend: store.backend });
    const task = a.task('t', async ({ stream }: TaskContext<undefined>) => stream.text('word'));
    const flow = a.flow('f', (f) => void f.run(task, undefined));
    await a.worker();
    const [run, whole, delayed] = [await task.run(), await flow.run(), await task.run(undefined, { delay: '1h' })];
    await clock.advance(1_000);
    const following = delayed.events();
    expect((await following.next()).value).toMatchObject({ type: 'execution_created' });
    store.isAway = true;
    const asked = [
      collected(run.events()).then((events) => events.map(({ type }) => type)),
      collected(run.stream()),
      collected(run.stream({ from: 'now' })),
      run.state(),
      run.info(),
      run.summary(),
      run.result(),
      whole.result(),
    ].map(async (answer) => answer);
    const late = rejectionOf(whole.result({ timeout: '3s' }));
    await clock.advance(5_000);
    expect(await late).toMatchObject({ code: 'result_timeout', cause: { code: 'transport_failed' } });
    store.isAway = false;
    await clock.advance(10_000);
    expect(await Promise.all(asked)).toMatchObject([
      ['execution_created', 'execution_claimed', 'stream_opened', 'execution_completed', 'stream_closed'],
      [{ text: 'word' }],
      [],
      'completed',
      { state: 'completed' },
      undefined,
      undefined,
      undefined,
    ]);
    // One whose reader waits for the next event, and leaves.
    const waiting = following.next();
    await following.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  it('no longer holds a reader once it aborts, and no reader once the app closes', async () => {
    const store = leavingStore();
    const { clock } = clockedApp({ backend: store.backend });
    const run = await a.task('t', () => 1).run();
    store.isAway = true;
    const controller = new AbortController();
    const left = rejectionOf(run.events({ signal: controller.signal }).next());
    const closed = rejectionOf(run.events().next());
    await clock.advance(60_000);
    controller.abort(new Error('enough'));
    expect(await left).toMatchObject({ message: 'enough' });
    await a.close();
    expect(await closed).toMatchObject({ code: 'app_closed' });
  });
});

describe('a backend that cannot be opened yet', () => {
  it('does not delay the timeout of a wait for the result of a run or flow, created here or looked up', async () => {
    const { clock } = clockedApp({ backend: () => Promise.reject(away()) });
    const task = a.task('t', () => 1);
    const flow = a.flow('f', (f) => f.run(task, undefined));
    const results = [
      task.run(),
      task.get('{fp:0}:00000000-0000-4000-8000-000000000000'),
      flow.run(),
      flow.get({ id: 'monday' }),
    ].map(async (run) => rejectionOf(run.result({ timeout: '2s' })));
    await clock.advance(2_001);
    for (const error of await Promise.all(results))
      expect(error).toMatchObject({ code: 'result_timeout', cause: { code: 'transport_failed' } });
    const given = flow.get({ id: 'monday' }).result({ signal: AbortSignal.abort(new Error('enough')) });
    expect(await rejectionOf(given)).toEqual(new Error('enough'));
  });

  it.each(['a function', 'a promise that can be begun anew'])(
    'given as %s is retried until it opens, and logged once',
    async (kind) => {
      const { state, open } = opensAfter(5);
      const { clock, lines } = clockedApp({ backend: kind === 'a function' ? open : new Lazy(open) });
      a.task('t', () => 1);
      expect(a.connection()).toEqual({ state: 'idle', forMs: 0, failures: 0, error: undefined });
      expect(state.tries).toBe(0);
      const worker = a.worker();
      await clock.advance(0);
      expect(a.connection()).toMatchObject({ state: 'connecting', failures: 1, error: { code: 'transport_failed' } });
      await clock.advance(60_000);
      expect((await worker).stats().state).toBe('running');
      expect(a.connection()).toMatchObject({ state: 'connected', failures: 0, error: undefined });
      expect(state.tries).toBe(6);
      expect(lines).toEqual([
        'warn The backend cannot be opened; retrying until it can. EngineError',
        'info The backend is open.',
      ]);
      const closing = a.close();
      await clock.advance(60_000);
      await closing;
    },
  );

  it('makes a new run wait for ten seconds and then reject; once the backend opens, runs are created', async () => {
    const { state, open } = opensAfter(Infinity);
    const { clock } = clockedApp({ backend: open });
    const task = a.task('t', () => 1);
    let settled = false;
    const error = rejectionOf(task.run()).finally(() => (settled = true));
    await clock.advance(9_000);
    expect(settled).toBe(false);
    await clock.advance(1_001);
    expect(await error).toMatchObject({ code: 'transport_failed' });
    state.failures = 0;
    await clock.advance(20_000);
    const run = task.run();
    await clock.advance(0);
    expect(await run.state()).toBe('waiting');
  });

  it('makes every other call wait for ten seconds too', async () => {
    const backend = new Lazy(() => new Promise<never>(() => undefined));
    const { clock } = clockedApp({ backend });
    const task = a.task('t', { quota: { concurrency: 1 } }, () => 1);
    const flow = a.flow('f', (f) => f.run(task, undefined));
    const budget = a.budget('b', { limits: { tokens: { hard: 1 } } });
    const id = '{fp:0}:00000000-0000-4000-8000-000000000000';
    const run = a.get(id);
    const calls = {
      counts: a.counts(),
      runs: collected(a.runs()),
      next: collected(a.runs({ order: 'priority', lane: 't' })),
      dead: collected(a.deadLetters.list()),
      replay: a.deadLetters.replay(),
      quarantined: collected(a.deadLetters.quarantined()),
      workers: collected(a.workers()),
      bills: collected(a.bills()),
      lane: a.lane('t').state(),
      pause: a.lane('t').pause(),
      quota: a.quotas.of(task, undefined),
      budget: budget.status(),
      info: run.info(),
      explain: run.explain(),
      cancel: run.cancel(),
      children: collected(run.children),
      own: task.get({ id: 'own' }).state(),
      flow: flow.get({ id: 'own' }).info(),
      many: task.runMany([undefined]),
    };
    const errors = Object.entries(calls).map(async ([name, call]) => [name, await rejectionOf(call)] as const);
    await clock.advance(10_001);
    const told = Object.keys(calls).map((name) => [name, expect.objectContaining({ code: 'call_timeout' })] as const);
    expect(Object.fromEntries(await Promise.all(errors))).toEqual(Object.fromEntries(told));
  });

  it('makes results, events and streams of looked-up runs wait without a limit, except for their own timeouts', async () => {
    const { state, open } = opensAfter(Infinity);
    const { clock } = clockedApp({ backend: open });
    const task = a.task('t', ({ stream }: TaskContext<undefined>) => stream.text('word'));
    const flow = a.flow('f', (f) => void f.run(task, undefined));
    const creator = app({ backend: state.backend, closeBackend: false });
    const creatorTask = creator.task('t');
    const { id } = await creatorTask.run(undefined, { id: 'own' });
    const other = creator.flow('f', (f) => void f.run(creatorTask, undefined));
    const { id: flowId } = await other.run(undefined, { id: 'own' });
    const run = task.get(id);
    const early = rejectionOf(run.info());
    const waits = [
      run.result(),
      a.get(id).result({ signal: new AbortController().signal }),
      task.get({ id: 'own' }).result({ timeout: '1m' }),
      flow.get(flowId).result({ timeout: '1m' }),
      flow.get({ id: 'own' }).result(),
      collected(a.get(id).events()).then((events) => events.length > 0),
      collected(task.get({ id: 'own' }).stream()).then((frames) => frames.length),
    ];
    await clock.advance(9_000);
    const late = run.result({ timeout: '1m' });
    const lateInfo = rejectionOf(run.info());
    await clock.advance(1_001);
    expect(await early).toMatchObject({ code: 'transport_failed' });
    await clock.advance(8_998);
    expect(await Promise.race([lateInfo, Promise.resolve('waits')])).toBe('waits');
    await clock.advance(1_002);
    expect(await lateInfo).toMatchObject({ code: 'transport_failed' });
    state.failures = 0;
    const worker = a.worker();
    await clock.advance(30_000);
    await worker;
    expect(await Promise.all([...waits, late])).toEqual([...Array<undefined>(5), true, 1, undefined]);
    await creator.close();
  });

  it('is a warning of the process, once, for an app without a log, and none when it comes back soon', async () => {
    const heard: string[] = [];
    const hear = ({ message }: Error): void => void (message.startsWith('flowfabric: ') && heard.push(message));
    process.on('warning', hear);
    const { state, open } = opensAfter(Infinity);
    for (const [log, until] of [
      [undefined, 2],
      [collectingLog().log, Infinity],
      [undefined, Infinity],
    ] as const) {
      Object.assign(state, { tries: 0, failures: until });
      const clock = new VirtualClock(0);
      a = app({ clock, backend: open, log });
      a.task('t', () => 1);
      const worker = a.worker().catch(() => undefined);
      await clock.advance(4_000);
      await new Promise(setImmediate);
      expect(heard).toEqual([]);
      await clock.advance(60_000);
      const closing = a.close();
      await clock.advance(60_000);
      await Promise.all([closing, worker]);
    }
    await new Promise(setImmediate);
    process.off('warning', hear);
    expect(heard).toEqual([expect.stringMatching(/calls and workers wait for it: .*server:1 cannot be reached/)]);
  });

  it('does not hold readers of a looked-up run that abort', async () => {
    const { open } = opensAfter(Infinity);
    const { clock } = clockedApp({ backend: open });
    const task = a.task('t', () => 1);
    const events = task.get({ id: 'own' }).events();
    const waiting = events.next();
    const controller = new AbortController();
    const frames = rejectionOf(collected(task.get({ id: 'own' }).stream({ signal: controller.signal })));
    await clock.advance(20_000);
    await events.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    controller.abort('enough');
    expect(await frames).toBe('enough');
    const closed = [
      task.get({ id: 'own' }).result(),
      collected(a.get('{fp:0}:00000000-0000-7000-8000-000000000000').events()),
    ];
    const errors = Promise.all(closed.map(rejectionOf));
    await clock.advance(20_000);
    await a.close();
    expect(await errors).toMatchObject([{ code: 'app_closed' }, { code: 'app_closed' }]);
  });

  it('does not delay the refusal of invalid arguments', async () => {
    const { open, state } = opensAfter(Infinity);
    clockedApp({ backend: open });
    const task = a.task('t', { input: z.string() }, () => 1);
    expect(await rejectionOf(task.run(5 as never))).toMatchObject({ code: 'invalid_task_input' });
    expect(await rejectionOf(task.run('x', { id: '' }))).toMatchObject({ code: 'invalid_definition' });
    expect(await rejectionOf(task.runMany(['x', 5 as never]))).toMatchObject({ code: 'invalid_task_input' });
    expect(await rejectionOf(a.worker({ slots: 0 }))).toMatchObject({ code: 'invalid_definition' });
    expect(state.tries).toBe(0);
  });

  it('does not delay a wait for a result whose timeout passes or whose signal aborts', async () => {
    const { open } = opensAfter(Infinity);
    const { clock } = clockedApp({ backend: open });
    const task = a.task('t', () => 1);
    const run = task.run();
    const controller = new AbortController();
    const id = '{fp:0}:00000000-0000-7000-8000-000000000000';
    const waits = Promise.all([
      rejectionOf(run.result({ timeout: '2s' })),
      rejectionOf(task.get({ id: 'o1' }).result({ timeout: '2s' })),
      rejectionOf(a.get(id).result({ timeout: '2s' })),
      rejectionOf(a.get(id).result({ signal: controller.signal })),
    ]);
    await clock.advance(1_000);
    controller.abort('enough');
    await clock.advance(1_000);
    const [created, own, known, aborted] = await waits;
    const timedOut = { code: 'result_timeout', timeoutMs: 2_000, cause: { code: 'transport_failed' } };
    expect(created).toMatchObject({ ...timedOut, executionId: 'The run' });
    expect(own).toMatchObject({ ...timedOut, executionId: 'The run with id "o1"' });
    expect(known).toMatchObject({ ...timedOut, executionId: id });
    expect(aborted).toBe('enough');
    const late = rejectionOf(run);
    await a.close();
    expect(await late).toMatchObject({ code: 'app_closed' });
  });

  it('is awaited by results, events and streams of looked-up runs', async () => {
    const store = leavingStore();
    const { clock } = clockedApp({ backend: store.backend });
    const task = a.task('t', async ({ stream }: TaskContext<undefined>) => stream.text('word'));
    const flow = a.flow('f', (f) => void f.run(task, undefined));
    await a.worker();
    const [{ id }, { id: flowId }] = [await task.run(), await flow.run()];
    await clock.advance(1_000);
    store.isAway = true;
    const waits = [
      task.get(id).result(),
      task.get(id).result({ timeout: '1m' }),
      flow.get(flowId).result({ timeout: '1m' }),
      collected(task.get(id).events()).then((events) => events.length > 0),
      collected(task.get(id).stream()).then((frames) => frames.length),
    ];
    const late = [task.get(id), flow.get(flowId)].map((it) => rejectionOf(it.result({ timeout: '3s' })));
    const asked = [task.get(id).info(), flow.get(flowId).info()].map(rejectionOf);
    await clock.advance(20_000);
    const timedOut = { code: 'result_timeout', timeoutMs: 3_000, cause: { code: 'transport_failed' } };
    expect(await Promise.all(late)).toMatchObject([timedOut, timedOut]);
    expect(await Promise.all(asked)).toMatchObject([{ code: 'transport_failed' }, { code: 'transport_failed' }]);
    store.isAway = false;
    await clock.advance(30_000);
    expect(await Promise.all(waits)).toEqual([undefined, undefined, undefined, true, 1]);
    store.isAway = true;
    const closed = rejectionOf(task.get(id).result());
    await clock.advance(20_000);
    const closing = a.close();
    await clock.advance(60_000);
    await closing;
    expect(await closed).toMatchObject({ code: 'app_closed' });
  });

  it('rejects at once with connect: "fail", and is opened again by the next call', async () => {
    const { open } = opensAfter(1);
    clockedApp({ backend: open, connect: 'fail' });
    const task = a.task('t', () => 1);
    expect(await rejectionOf(a.worker())).toMatchObject({ code: 'transport_failed' });
    expect(a.connection()).toMatchObject({ state: 'failed', failures: 1 });
    expect((await task.run()).deduplicated).toBe(false);
    expect(a.connection().state).toBe('connected');
  });

  it('is not opened again after an error that is not retryable', async () => {
    const { state, open } = opensAfter(Infinity, () => new EngineError('unsafe_eviction_policy', 'allkeys-lru.'));
    const { clock } = clockedApp({ backend: open });
    a.task('t', () => 1);
    const error = rejectionOf(a.worker());
    await clock.advance(0);
    expect(await error).toMatchObject({ code: 'unsafe_eviction_policy' });
    await clock.advance(3_600_000);
    expect(state.tries).toBe(1);
  });

  it('given as a rejected promise fails for good, without an unhandled rejection if it is never used', async () => {
    clockedApp({ backend: Promise.reject(away()) });
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await rejectionOf(a.backend())).toMatchObject({ code: 'transport_failed' });
  });
});

it('leaves no pending promise behind once it is open', async () => {
  clockedApp({ backend: memory() });
  await a.backend();
  expect(a.backend()).toBe(a.backend());
});

it('logs notices for operators, also in a process that only runs workers', async () => {
  const backend = memory();
  const listeners = new Set<(notice: EngineError) => void>();
  backend.onNotice = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const { clock, lines } = clockedApp({ backend: async () => backend });
  a.task('t', () => 1);
  await a.worker();
  for (const listener of listeners) listener(new EngineError('unsafe_eviction_policy', 'allkeys-lru.'));
  expect(lines).toEqual(['warn The server needs attention. EngineError']);
  const closing = a.close();
  await clock.advance(60_000);
  await closing;
  expect(listeners.size).toBe(0);
});

describe('closing', () => {
  it('rejects the waiting callers and resolves soon if the backend never opened', async () => {
    const { state, open } = opensAfter(Infinity);
    const { clock } = clockedApp({ backend: open });
    const task = a.task('t', () => 1);
    const errors = Promise.all(
      [a.worker(), task.run(), a.backend(), a.get('{fp:0}:00000000-0000-7000-8000-000000000000').result()].map(
        rejectionOf,
      ),
    );
    await clock.advance(300);
    await a.close();
    expect(await errors).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ code: 'app_closed' })));
    const { tries } = state;
    await clock.advance(3_600_000);
    expect(state.tries).toBe(tries);
    expect(a.connection().state).toBe('closed');
    expect(await rejectionOf(task.run())).toMatchObject({ code: 'app_closed' });
  });

  it('while the backend opens closes that backend once it is open', async () => {
    const opened = deferred<Backend>();
    clockedApp({ backend: () => opened.promise });
    const waiting = rejectionOf(a.backend());
    await a.close();
    expect(await waiting).toMatchObject({ code: 'app_closed' });
    const backend = memory();
    opened.resolve(backend);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await rejectionOf(backend.ping())).toMatchObject({ code: 'backend_closed' });
  });

  it('of an unused app closes a backend that was passed open, and opens none', async () => {
    const unused = opensAfter(0);
    clockedApp({ backend: unused.open });
    await a.close();
    expect(unused.state.tries).toBe(0);
    for (const wrap of [(it: Backend) => it, (it: Backend) => Promise.resolve(it)]) {
      const given = opensAfter(0).state;
      clockedApp({ backend: wrap(given.backend) });
      await a.close();
      await new Promise((resolve) => setImmediate(resolve));
      expect(given.closes).toBe(1);
      const kept = opensAfter(0).state;
      clockedApp({ backend: wrap(kept.backend), closeBackend: false });
      await a.close();
      await new Promise((resolve) => setImmediate(resolve));
      expect(kept.closes).toBe(0);
    }
  });

  it('waits for handlers as long as its timeout says, and a second call can shorten the timeout', async () => {
    const { clock } = clockedApp({ backend: memory() });
    const reasons: unknown[] = [];
    const slow = a.task('slow', ({ signal }) => {
      signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code));
      return new Promise<never>(() => undefined);
    });
    await a.worker({ drainTimeout: '1h' });
    void slow.run();
    await clock.advance(100);
    let closed = false;
    const closing = a.close({ timeout: '10m' }).then(() => (closed = true));
    await clock.advance(300_000);
    expect([closed, reasons]).toEqual([false, []]);
    void a.close({ timeout: '1s' });
    await clock.advance(60_000);
    expect([closed, reasons]).toEqual([true, ['shutdown']]);
    await closing;
  });

  it('removes a drained worker from the app', async () => {
    clockedApp({ backend: memory() });
    a.task('t', () => 1);
    const worker = await a.worker();
    await worker.close();
    // Tasks that come later are not offered to it.
    const serve = worker as unknown as { serve: (lane: string) => void };
    serve.serve = () => expect.fail('a drained worker was told of a lane');
    a.task('later', () => 2);
  });
});

describe('valkey()', () => {
  it('connects when it is first awaited, and again after a failure', async () => {
    const refusing = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    let connections = 0;
    refusing.on('connection', () => connections++);
    const { port } = refusing.address() as AddressInfo;
    const { log, lines } = collectingLog();
    a = app({ backend: valkey({ url: `valkey://127.0.0.1:${port}`, callTimeoutMs: 100 }), log });
    a.task('t', () => 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(connections).toBe(0);
    const worker = rejectionOf(a.worker());
    while (a.connection().failures < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(connections).toBeGreaterThan(1);
    expect(lines).toHaveLength(1);
    await a.close();
    expect(await worker).toMatchObject({ code: 'app_closed' });
    await new Promise((resolve) => refusing.close(resolve));
  });
});
