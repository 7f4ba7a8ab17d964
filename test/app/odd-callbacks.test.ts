/**
 * Whatever the schemas, listeners and functions of users throw or reject with: the process goes on, other listeners are
 * told, and the run that it concerns ends or is refused.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/engine/clock.js';
import { startTimerLoop, Subscriptions } from '../../src/engine/index.js';
import { EngineError, memory, type AppEvents, type Backend } from '../../src/index.js';
import type { AnySchema } from '../../src/shared/schema.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';
import { openStore } from '../embedded/script.js';
import { tried } from '../../src/util/thrown.js';
import { make, ODD, watchUnhandled } from '../support/odd.js';
import { harness } from '../worker/harness.js';
import { memoryApp, rejectionOf } from './support.js';

const unhandled = watchUnhandled();
/** What the process is warned of is kept in place of being printed. */
const warnings: string[] = [];
const printers = process.listeners('warning');
beforeAll(() => {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => void warnings.push(`${name}: ${message}`));
});
afterAll(() => {
  process.removeAllListeners('warning');
  for (const printer of printers) process.on('warning', printer);
});

const quiet = async (): Promise<void> => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
};
afterEach(() => {
  unhandled.length = 0;
  warnings.length = 0;
});

/** How a schema fails, by what it does. */
const FAILING: Readonly<Record<string, (fail: () => never) => AnySchema['~standard']['validate']>> = {
  throws: (fail) => fail,
  rejects: (fail) => () => Promise.resolve().then(fail),
  'gives a result that cannot be read': (fail) => () => Object.defineProperty({}, 'issues', { get: fail }) as never,
};

const schemaOf = (validate: unknown): AnySchema =>
  ({ '~standard': { version: 1, vendor: 'odd', validate } }) as AnySchema;

describe.each(Object.entries(FAILING))('a schema that %s', (_, failing) => {
  it.each(Object.keys(ODD))('fails only the run: %s', async (name) => {
    const fail = (): never => {
      throw make(name);
    };
    const h = harness();
    const validate = failing(fail);
    // The caller's input is taken; the worker's is not.
    let calls = 0;
    const late = (value: unknown): unknown => (calls++ === 0 ? { value } : validate(value));
    const tasks = {
      invalid_result: h.a.task('out', { output: schemaOf(validate) }, () => ({})),
      invalid_input_payload: h.a.task('in', { input: schemaOf(late) }, () => 1),
      invalid_step_value: h.a.task(
        'step',
        async ({ step }) => void (await step('s', () => 1, { schema: schemaOf(validate) })),
      ),
      invalid_signal: h.a.task(
        'wait',
        async ({ waitFor }) => void (await waitFor('go', { schema: schemaOf(validate) })),
      ),
    };
    const refusing = h.a.task('refusing', { input: schemaOf(validate), signals: { s: schemaOf(validate) } }, () => 1);
    const worker = await h.worker({ slots: 1 });
    expect(await rejectionOf(refusing.run(1))).toMatchObject({ code: 'invalid_task_input' });
    for (const [category, task] of Object.entries(tasks)) {
      const run = await task.run(1);
      await run.signal('go', 1);
      await h.pass(10);
      expect(await run.info()).toMatchObject({ state: 'failed', failure: { category } });
      expect((await run.info()).failure?.message).toContain('the schema failed: ');
    }
    expect(worker.stats()).toMatchObject({ running: 0, lost: 0 });
    await quiet();
    await h.close();
  });
});

it('a failing schema is reported with the error that it threw, in the log too', async () => {
  const h = harness();
  const mine = new TypeError('no b of undefined');
  const validate = (): never => {
    throw mine;
  };
  const task = h.a.task('t', { output: schemaOf(validate) }, () => ({}));
  await h.worker();
  const run = await task.run();
  await h.pass(10);
  const message = 'The result does not match the output schema: the schema failed: no b of undefined';
  expect((await run.info()).failure?.message).toBe(message);
  expect(h.said.flat()).toContainEqual(expect.objectContaining({ message, cause: mine }));
  await h.close();
});

it('what the function for the options of many runs throws is the one rejection, beside refused inputs too', async () => {
  await using a = memoryApp();
  const task = a.task('t', { input: schemaOf(() => ({ issues: [{ message: 'no' }] })) }, () => 1);
  const mine = new Error('mine');
  const options = (_: unknown, index: number): object => {
    if (index === 1) throw mine;
    return {};
  };
  expect(await rejectionOf(task.runMany([0, 1], options))).toBe(mine);
  await quiet();
});

/** Both ways in which a listener fails. */
const failures = (name: string): (() => never)[] => [
  () => {
    throw make(name);
  },
  (() => Promise.reject(make(name))) as never,
];

describe.each(Object.keys(ODD))('a listener that fails with: %s', (name) => {
  it('of the app does not stop the others', async () => {
    const messages: string[] = [];
    const say = (message: string): void => void messages.push(message);
    const a = memoryApp({ log: { debug: say, info: say, warn: say, error: say } });
    const heard: (keyof AppEvents)[] = [];
    for (const listener of failures(name)) await a.on('completed', listener);
    await a.on('completed', () => heard.push('completed'));
    const task = a.task('t', () => 1);
    await a.worker();
    await task.run().result();
    await expect.poll(() => heard).toEqual(['completed']);
    await quiet();
    expect(messages.filter((message) => message === 'A listener of "completed" failed.')).toHaveLength(2);
    await a.close();
  });

  it('of a backend does not stop the others', async () => {
    const backend = memory();
    const heard: string[] = [];
    for (const listener of failures(name)) {
      await backend.onWake(['t'], listener);
      await backend.onAnnouncement('ended', listener);
    }
    await backend.onWake(['t'], ({ kind }) => heard.push(kind));
    await backend.onAnnouncement('ended', ({ kind }) => heard.push(kind));
    const a = memoryApp({ backend });
    await a.worker({ lanes: ['t'] });
    await a
      .task('t', () => 1)
      .run()
      .result();
    await expect.poll(() => heard).toEqual(expect.arrayContaining(['work', 'ended']));
    await quiet();
    expect(warnings[0]).toMatch(/^FlowFabricWarning: A listener of wakes failed: ./);
    await a.close();
  });

  it('of the notices of a store does not stop the others', async () => {
    const { backend } = openStore(new SimulatedDisk({ capacity: 20_000 }), { partitions: 1, turns: [], states: [] });
    const heard: string[] = [];
    for (const listener of failures(name)) backend.onNotice?.(listener);
    backend.onNotice?.(({ code }) => heard.push(code));
    const creation = {
      ...{ namespace: 'n', laneId: 't', executionKind: 't', creatorIdentity: 'test' },
      executionId: '{fp:0}:00000000-0000-4000-a000-000000000001',
      inputPayload: Buffer.alloc(50_000),
    };
    expect(await rejectionOf(backend.createExecution(creation))).toMatchObject({ code: 'storage_full' });
    await quiet();
    expect(heard).toEqual(['storage_full']);
  });

  it('of the timer loop does not stop the loop', async () => {
    const h = harness();
    for (const onError of failures(name)) {
      const backend = Object.assign(Object.create(h.backend) as Backend, {
        applyDue: () => Promise.reject(new Error('x')),
      });
      const loop = await startTimerLoop(backend, { onError, clock: h.clock });
      await h.pass(60_000);
      await quiet();
      await loop.close();
    }
    await h.close();
  });

  it('of a subscription does not stop the others', async () => {
    const inner = memory();
    let isBroken = false;
    const read = (...args: Parameters<Backend['readLog']>) =>
      isBroken ? Promise.reject(new EngineError('transport_failed', 'gone')) : inner.readLog(...args);
    const backend = Object.assign(Object.create(inner) as Backend, { readLog: read });
    for (const onStateChange of failures(name)) {
      const feed = await new Subscriptions(backend, systemClock).events({ from: 'now', onStateChange });
      isBroken = true;
      const next = feed.next();
      setTimeout(() => (isBroken = false), 20);
      const a = memoryApp({ backend: inner, closeBackend: false });
      await a.task('t', () => 1).run();
      expect((await next).done).toBe(false);
      await quiet();
      await feed.close();
      await a.close();
    }
  });
});

it.each(Object.keys(ODD))(
  'a promise is refused where a value is needed, and its rejection is handled: %s',
  async (name) => {
    const a = memoryApp();
    // Making some of them throws, under a runner with source maps.
    const value = tried(() => make(name));
    const rejecting = (() => Promise.reject(value)) as () => never;
    const runs = [
      a.task('quota', { quota: { per: rejecting, concurrency: 1 } }, () => 1).run(1),
      a.task('budget', { budget: rejecting }, () => 1).run(1),
      a.task('many', () => 1).runMany([1], rejecting),
      a.flow('flow', rejecting).run(),
    ];
    for (const run of runs) expect(await rejectionOf(run)).toMatchObject({ code: expect.stringMatching(/^invalid_/) });
    await quiet();
    await a.close();
  },
);

it('an error of a listener on the signal of a step with a timeout is logged', async () => {
  const h = harness();
  const task = h.a.task('t', async ({ step }) => {
    const asks = ({ signal }: { signal: AbortSignal }): Promise<void> => {
      for (const listener of failures('a number')) signal.addEventListener('abort', listener);
      return new Promise(() => undefined);
    };
    await step('s', asks, { timeout: 1_000 });
  });
  await h.worker();
  const run = await task.run();
  await h.pass(10_000);
  expect(await run.state()).toBe('failed');
  await quiet();
  expect(h.said.filter(([, message]) => message.includes('put on its signal failed'))).toHaveLength(2);
  await h.close();
});

it('a schema without issues still gives a message, and a logger that cannot be read is refused', async () => {
  const a = memoryApp();
  const task = a.task('x', { input: schemaOf(() => ({ issues: [] })) }, () => 1);
  expect(await rejectionOf(task.run(1))).toMatchObject({ message: 'Input of task "x": it does not match' });
  const fail = (): never => {
    throw new Error('touched');
  };
  const log = Object.defineProperty({}, 'debug', { get: fail }) as never;
  expect(() => memoryApp({ log })).toThrow('The app: log must be a logger with debug, info, warn and error');
  const methods = { debug: fail, info: fail, warn: fail, error: fail };
  const b = memoryApp({ log: Object.defineProperty(methods, 'bindings', { get: fail }) });
  expect(await b.task('y', () => 1).run()).toHaveProperty('id');
  await a.close();
  await b.close();
});
