/** What users are told of runs: `app.on` and `run.events()`. */
import { afterEach, describe, expect, it } from 'vitest';
import { Valkey } from 'iovalkey';
import { KEYS } from '../../lua/layout.js';
import { partitionOfExecution } from '../../model/ids.js';
import { systemClock } from '../../src/engine/clock.js';
import { Subscriptions } from '../../src/engine/index.js';
import {
  app,
  child,
  EngineError,
  memory,
  NonRetryableError,
  RunNotFoundError,
  type App,
  type AppEvents,
  type Backend,
  type Clock,
  type TaskContext,
} from '../../src/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { EndListeners } from '../../src/app/results/end-listeners.js';
import { valkey } from '../../src/valkey/index.js';
import { collectingLog, deferred, pause, rejectionOf, until } from './support.js';

const apps: App[] = [];
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
});
function opened(options: Parameters<typeof app>[0]): App {
  const a = app(options);
  apps.push(a);
  return a;
}

const backendOf = async (label: string): Promise<Backend> =>
  label === 'memory'
    ? memory()
    : valkey({ url: (await sharedValkey()).url, prefix: `events-${Math.random()}:`, partitions: { count: 2 } });

async function collected(events: AsyncIterable<{ type: string }>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

describe.each(['memory', 'valkey'])('on %s', (label) => {
  it('all listeners receive every end of the namespace, with its details', async () => {
    const backend = await backendOf(label);
    const a = opened({ backend });
    const other = opened({ backend, namespace: 'other', closeBackend: false });
    const task = a.task('t', ({ input }: { input: string }) => {
      if (input === 'bad') throw new NonRetryableError('no such order');
      return input;
    });
    const told: unknown[] = [];
    const offs = [
      await a.on('completed', ({ id, task: name }) => told.push(['completed', name, id])),
      await a.on('failed', ({ id, failure }) => told.push(['failed', failure.message, failure.category, id])),
      await a.on('cancelled', ({ id, reason }) => told.push(['cancelled', reason, id])),
      await other.on('completed', () => told.push('not mine')),
    ];
    const late = await task.run('late', { delay: '1h' });
    await late.cancel('changed my mind');
    await a.worker();
    const good = await task.run('good');
    const bad = await task.run('bad');
    await good.result();
    await bad.result().catch(() => undefined);
    await expect.poll(() => told.length).toBe(3);
    expect(told).toEqual(
      expect.arrayContaining([
        ['cancelled', 'changed my mind', late.id],
        ['completed', 't', good.id],
        ['failed', 'no such order', 'handler_error', bad.id],
      ]),
    );
    for (const off of offs) off();
    await (await task.run('good')).result();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(told).toHaveLength(3);
  });

  it('listeners receive ends in order, with the own ids and tags of the runs', async () => {
    const a = opened({ backend: await backendOf(label) });
    const task = a.task('t', { lane: 'mail:send' }, ({ input }: { input: number }) => {
      if (input % 2 === 1) throw new NonRetryableError('odd');
    });
    const told: unknown[] = [];
    for (const name of ['completed', 'failed'] as const)
      await a.on(name, ({ ownId, tags, lane }) => told.push([name, ownId, tags, lane]));
    await a.worker();
    const expected: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      // One partition has an order of its own: both backends have more than one, so each end is waited for.
      const tags = i < 2 ? { 'team.name': `t${i}` } : undefined;
      await task
        .run(i, { id: i === 3 ? undefined : `o${i}`, tags })
        .result()
        .catch(() => undefined);
      await expect.poll(() => told.length).toBe(i + 1);
      expected.push([i % 2 === 1 ? 'failed' : 'completed', i === 3 ? undefined : `o${i}`, tags ?? {}, 'mail:send']);
    }
    expect(told).toEqual(expected);
  });

  it('listeners receive each of hundreds of ends once, in the order of their partition', async () => {
    const a = opened({ backend: await backendOf(label) });
    const task = a.task('t', ({ input }: { input: number }) => input);
    const told: (string | undefined)[] = [];
    const times: number[] = [];
    await a.on('completed', ({ tags, at }) => {
      told.push(tags['order.number']);
      times.push(at);
    });
    await a.worker({ slots: 20 });
    const inputs = Array.from({ length: 300 }, (_, i) => i);
    const runs = await task.runMany(inputs, (i) => ({ tags: { 'order.number': String(i) } }));
    await Promise.all(runs.map((run) => run.result()));
    await expect.poll(() => told.length).toBe(300);
    expect([...told].map(Number).sort((x, y) => x - y)).toEqual(inputs);
    if (label === 'memory') expect(times).toEqual([...times].sort((x, y) => x - y));
  });

  it('the events of a run cover its whole life, during it and afterwards', async () => {
    const a = opened({ backend: await backendOf(label) });
    let finish = (): void => undefined;
    const task = a.task('t', () => new Promise<void>((resolve) => (finish = resolve)));
    const run = await task.run();
    await task.run(undefined, { delay: '1h' });
    const live = run.events();
    expect((await live.next()).value).toMatchObject({ type: 'execution_created', executionId: run.id });
    await a.worker();
    expect((await live.next()).value).toMatchObject({ type: 'execution_claimed' });
    finish();
    const expected = ['execution_created', 'execution_claimed', 'execution_completed'];
    expect(await collected(live)).toEqual(expected.slice(2));
    expect(await collected(run.events())).toEqual(expected);
    expect(await collected(task.get(run.id).events())).toEqual(expected);
  });

  it('listeners receive the end of a flow once, after all its members have ended', async () => {
    const backend = await backendOf(label);
    const a = opened({ backend });
    const other = opened({ backend, namespace: 'other', closeBackend: false });
    const add = a.task('add', ({ input }: { input: number }) => {
      if (input < 0) throw new NonRetryableError('negative', { category: 'declined' });
      return input + 1;
    });
    const parent = a.task('parent', async ({ children }: TaskContext) => (await children.all([child(add, 1)]))[0]);
    const both = a.flow('both', (f, n: number) => f.run(add, f.run(add, n)));
    const race = a.flow('race', (f) => f.run(add, f.any([f.run(add, 1), f.run(add, 2)])));
    const told: unknown[] = [];
    const skips: string[] = [];
    const called = { flow: 'both', tags: { 'team.name': 'docs' } };
    await a.on('flowCompleted', ({ id, flow, ownId, tags }) => told.push(['flowCompleted', { id, flow, ownId, tags }]));
    await a.on('flowFailed', ({ id, flow, tags, members }) => {
      told.push(['flowFailed', { id, flow, tags }, members.map(({ task, message }) => [task, message])]);
    });
    await a.on('flowCancelled', ({ id, reason, at }) => told.push(['flowCancelled', id, reason, typeof at]));
    await a.on('skipped', ({ task }) => skips.push(task));
    for (const name of ['flowCompleted', 'flowFailed', 'flowCancelled'] as const)
      await other.on(name, () => told.push('not mine'));
    const tags = { 'team.name': 'docs' };
    const cancelled = await both.run(1);
    await cancelled.cancel('not wanted');
    await expect.poll(() => told).toEqual([['flowCancelled', cancelled.id, 'not wanted', 'number']]);
    await a.worker();
    const good = await both.run(1, { id: 'good', tags });
    await expect.poll(() => told.slice(1)).toEqual([['flowCompleted', { ...called, id: good.id, ownId: 'good' }]]);
    const won = await race.run();
    await expect.poll(() => told.slice(2)).toMatchObject([['flowCompleted', { flow: 'race', id: won.id }]]);
    // The children of a handler are a flow of the engine, and not one that anybody declared.
    await parent.run(undefined).result();
    const bad = await both.run(-1, { tags });
    await expect.poll(() => told.slice(3)).toEqual([['flowFailed', { ...called, id: bad.id }, [['add', 'negative']]]]);
    await expect.poll(() => skips).toEqual(['add']);
  });

  it('the members of a flow that failed are read once for its event, and once for its explanation', async () => {
    const backend = await backendOf(label);
    let reads = 0;
    const listFlowMembers: Backend['listFlowMembers'] = (args) => {
      reads += 1;
      return backend.listFlowMembers(args);
    };
    const counting = new Proxy(backend, {
      get: (of, name) => (name === 'listFlowMembers' ? listFlowMembers : Reflect.get(of, name)),
    });
    const a = opened({ backend: counting });
    const bad = a.task('bad', (): number => {
      throw new NonRetryableError('no');
    });
    const one = a.flow('one', (f) => f.run(bad, undefined));
    const told: string[] = [];
    await a.on('flowFailed', ({ id }) => told.push(id));
    await a.worker();
    const run = await one.run();
    await expect.poll(() => told).toEqual([run.id]);
    expect(reads).toBe(1);
    expect(await run.explain()).toMatchObject({ state: 'failed', failed: [{ task: 'bad' }] });
    expect(reads).toBe(2);
  });

  it('the events of a skipped member end with the skip', async () => {
    const a = opened({ backend: await backendOf(label) });
    const bad = a.task('bad', (): number => {
      throw new NonRetryableError('no');
    });
    const add = a.task('add', ({ input }: { input: number }) => input + 1);
    const pair = a.flow('pair', (f) => f.run(add, f.run(bad, undefined)));
    const run = await pair.run();
    let last = '';
    for await (const { id, task } of run.children) if (task === 'add') last = id;
    const events = collected(a.get(last).events());
    await a.worker();
    expect((await events).at(-1)).toBe('execution_skipped');
  });

  it('a reader of events stops with its signal, and a run that does not exist has no events', async () => {
    const a = opened({ backend: await backendOf(label) });
    const task = a.task('t', () => undefined);
    const run = await task.run();
    const controller = new AbortController();
    const events = run.events({ signal: controller.signal });
    await events.next();
    const waiting = events.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(run.events({ signal: controller.signal }).next()).rejects.toThrow('enough');
    const nobody = '{fp:0}:00000000-0000-4000-8000-000000000001';
    expect(await rejectionOf(a.get(nobody).events().next())).toBeInstanceOf(RunNotFoundError);
  });
});

/** A clock whose waits of a second and more take a few milliseconds. */
const hurried: Clock = {
  now: systemClock.now,
  random: systemClock.random,
  after: (ms, fn) => systemClock.after(ms >= 500 ? ms / 100 : ms, fn),
};

it('each listener has an event of its own: what one changes, the next does not see', async () => {
  const a = opened({ backend: memory() });
  const task = a.task('t', () => 1);
  const told: unknown[] = [];
  await a.on('completed', ({ tags }) => void Object.assign(tags, { 'team.name': 'changed' }));
  await a.on('completed', ({ tags }) => void told.push(tags));
  await a.worker();
  await task.run(undefined, { tags: { 'team.name': 'mail' } }).result();
  await until(() => told.length > 0);
  expect(told).toEqual([{ 'team.name': 'mail' }]);
});

describe('a log with entries of a newer build', () => {
  it('is read to its end: listeners ignore them, and subscribers get them as data', async () => {
    const { url } = await sharedValkey();
    const admin = new Valkey(url);
    const prefix = `newer-${process.pid}-${Date.now()}:`;
    const backend = await valkey({ url, prefix, partitions: { count: 1 } });
    let mayRead = Promise.resolve();
    const readLog: Backend['readLog'] = async (args) => mayRead.then(() => backend.readLog(args));
    const slow = new Proxy(backend, { get: (of, name) => (name === 'readLog' ? readLog : Reflect.get(of, name)) });
    const a = opened({ backend: slow });
    const task = a.task('t', ({ input }: { input: number }) => input);
    const [told, faults]: [(string | undefined)[], AppEvents['error'][]] = [[], []];
    await a.on('completed', ({ ownId }) => told.push(ownId));
    await a.on('error', (fault) => faults.push(fault));
    // The listeners read nothing of it before the log is changed.
    const gate = deferred();
    mayRead = gate.promise;
    const [first, second] = [await task.run(1, { id: 'first' }), await task.run(2, { id: 'second' })];
    // The entry of the first creation becomes one that only a newer build knows.
    const key = `${prefix}{fp:0}:${KEYS.log}`;
    const [created, ...others] = await admin.xrange(key, '-', '+');
    const position = created?.[0] as string;
    const batch = admin.multi().del(key).xadd(key, position, 'zz', 'some-id', 'a\tb', '');
    for (const [id, fields] of others) batch.xadd(key, id, ...fields);
    await batch.exec();
    gate.resolve();
    await a.worker();
    expect(await Promise.all([first.result(), second.result()])).toEqual([1, 2]);
    await expect.poll(() => told.toSorted()).toEqual(['first', 'second']);
    expect(faults).toEqual([]);
    const at = Number(position.split('-')[1]);
    const unknown = { type: 'unknown', at, letter: 'zz', subject: 'some-id', texts: ['a\tb', ''] };
    const { events } = await backend.readLog({ partition: '{fp:0}', limit: 100 });
    expect(events[0]).toEqual({ sequence: 1, event: unknown });
    expect(events.slice(1).map(({ event }) => event.type)).not.toContain('unknown');
    const subscriptions = new Subscriptions(backend);
    for (const filter of [{}, { types: ['unknown' as const] }]) {
      await using subscription = await subscriptions.events({ from: 'earliest', ...filter });
      expect((await subscription.next()).value?.event).toEqual(unknown);
    }
    const history = [];
    for await (const { type } of second.events()) history.push(type);
    expect(history[0]).toBe('execution_created');
    expect(history).not.toContain('unknown');
    admin.disconnect();
  });
});

describe('a damaged log', () => {
  it('on a server holds up only its own partition, is reported once, and continues once it is repaired', async () => {
    const { url } = await sharedValkey();
    const admin = new Valkey(url);
    const prefix = `spoilt-${process.pid}-${Date.now()}:`;
    const { log, lines } = collectingLog();
    const backend = await valkey({ url, prefix, partitions: { count: 2 } });
    let mayRead = Promise.resolve();
    const readLog: Backend['readLog'] = async (args) => mayRead.then(() => backend.readLog(args));
    const slow = new Proxy(backend, { get: (of, name) => (name === 'readLog' ? readLog : Reflect.get(of, name)) });
    const a = opened({ backend: slow, log, clock: hurried });
    const task = a.task('t', ({ input }: { input: number }) => input);
    const [told, faults]: [(string | undefined)[], AppEvents['error'][]] = [[], []];
    await a.on('completed', ({ ownId }) => told.push(ownId));
    await a.on('error', (fault) => faults.push(fault));
    // The log is spoilt before the listeners read that far.
    const gate = deferred();
    mayRead = gate.promise;
    const runs = await Promise.all(Array.from({ length: 12 }, (_, i) => task.run(i, { id: `o${i}` })));
    const partition = partitionOfExecution(runs[0]?.id as string);
    const key = `${prefix}${partition}:${KEYS.log}`;
    const entries = await admin.xrange(key, '-', '+');
    const rewrite = async (change: (fields: string[]) => string[]): Promise<void> => {
      const now = await admin.xrange(key, '-', '+');
      const kept = now.map(([id, fields]) => [id, id === entries[0]?.[0] ? change(fields) : fields] as const);
      const batch = admin.multi().del(key);
      for (const [id, fields] of kept) batch.xadd(key, id, ...fields);
      await batch.exec();
    };
    const whole = entries[0]?.[1] as string[];
    await rewrite(([, ...rest]) => ['?', ...rest]);
    gate.resolve();
    await a.worker();
    await Promise.all(runs.map((run) => run.result()));
    const spoilt = runs.filter(({ id }) => partitionOfExecution(id) === partition);
    expect(spoilt.length).toBeGreaterThan(0);
    await expect.poll(() => told.length).toBe(12 - spoilt.length);
    await pause(100);
    expect(faults).toEqual([{ error: expect.objectContaining({ code: 'corruption' }), partition }]);
    expect(lines.filter((line) => line.includes('is damaged'))).toHaveLength(1);
    await rewrite(() => whole);
    await expect.poll(() => told.length).toBe(12);
    expect(new Set(told).size).toBe(12);
    expect(lines.some((line) => line.includes('can be read again'))).toBe(true);
    admin.disconnect();
  });

  it('does not hold back the events before the damage', async () => {
    const backend = memory();
    let damagedFrom = Infinity;
    let mayRead = Promise.resolve();
    const readLog: Backend['readLog'] = async (args) => {
      await mayRead;
      const page = await backend.readLog(args);
      if (page.events.some(({ sequence }) => sequence >= damagedFrom)) throw new EngineError('corruption', 'spoilt');
      return page;
    };
    const spoilt = new Proxy(backend, { get: (of, name) => (name === 'readLog' ? readLog : Reflect.get(of, name)) });
    const a = opened({ backend: spoilt, clock: hurried });
    const task = a.task('t', ({ input }: { input: number }) => input);
    const told: (string | undefined)[] = [];
    await a.on('completed', ({ ownId }) => told.push(ownId));
    await a.worker();
    // Both ends are of one page of the log when the listeners read it.
    const gate = deferred();
    mayRead = gate.promise;
    await task.run(1, { id: 'before' }).result();
    const { end } = await backend.readLog({ partition: '{fp:0}', limit: 1_000 });
    damagedFrom = Number(end.split('.')[1]) + 1;
    await task.run(2, { id: 'behind' }).result();
    gate.resolve();
    await expect.poll(() => told).toEqual(['before']);
    damagedFrom = Infinity;
    await expect.poll(() => told).toEqual(['before', 'behind']);
  });
});

describe('the feed of a listener', () => {
  it('resumes from its position after a fault that concerns no single partition', async () => {
    const backend = memory();
    let refuses = false;
    const readLog: Backend['readLog'] = (args) =>
      refuses ? Promise.reject(new EngineError('server_refused', 'no right')) : backend.readLog(args);
    const refusing = new Proxy(backend, { get: (of, name) => (name === 'readLog' ? readLog : Reflect.get(of, name)) });
    const { log, lines } = collectingLog();
    const a = opened({ backend: refusing, clock: hurried, log });
    const task = a.task('t', ({ input }: { input: number }) => input);
    const [told, faults]: [(string | undefined)[], AppEvents['error'][]] = [[], []];
    await a.on('completed', ({ ownId }) => told.push(ownId));
    await a.on('error', (fault) => faults.push(fault));
    await a.worker();
    refuses = true;
    await task.run(1, { id: 'o1' }).result();
    await expect.poll(() => faults.length).toBe(1);
    await pause(60);
    refuses = false;
    await expect.poll(() => told).toEqual(['o1']);
    expect(faults).toHaveLength(1);
    expect(lines.filter((line) => line.includes('do not hear'))).toHaveLength(1);
  });
});

describe('listeners', () => {
  it('that throw are logged, and the other listeners are called all the same', async () => {
    const { log, lines } = collectingLog();
    const a = opened({ backend: memory(), log });
    const task = a.task('t', () => 1);
    let heard = 0;
    await a.on('completed', () => {
      throw new Error('hunter2');
    });
    await a.on('completed', () => (heard += 1));
    await a.worker();
    await task.run().result();
    await expect.poll(() => heard).toBe(1);
    expect(lines.some((line) => line.includes('A listener of "completed" failed.'))).toBe(true);
  });

  it('are not called for a flow that ends while the app closes, and no rejection is left unhandled', async () => {
    const backend = memory();
    const { log, lines } = collectingLog();
    const a = opened({ backend, log });
    const connections = [async () => backend, async () => Promise.reject(new Error('closed'))] as const;
    let isClosed = false;
    const ready = (): Promise<Backend> => connections[isClosed ? 1 : 0]();
    const listeners = new EndListeners({ backend: ready, clock: systemClock, log, namespace: 'default' });
    const told: string[] = [];
    await listeners.add('flowCompleted', ({ id }) => told.push(id));
    isClosed = true;
    const one = a.task('one', () => 1);
    await a.worker();
    await (await a.flow('alone', (f) => f.run(one, undefined)).run()).result();
    await expect.poll(() => lines.filter((line) => line.includes('it cannot be read'))).toHaveLength(1);
    listeners.close();
    expect(told).toEqual([]);
  });

  it('are refused if the event is unknown or the listener is not a function', async () => {
    const a = opened({ backend: memory() });
    await expect(a.on('exploded' as never, () => undefined)).rejects.toThrow('one of completed, failed');
    await expect(a.on('failed', 7 as never)).rejects.toThrow('must be a function');
    await a.close();
    await expect(a.on('failed', () => undefined)).rejects.toMatchObject({ code: 'app_closed' });
  });
});
