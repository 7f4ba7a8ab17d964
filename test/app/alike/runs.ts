/** Starting runs: values in and out, ids, facts, events, order. */
import { expect } from 'vitest';
import { backoff, type App, type Failure, type RunEvent, type TaskContext } from '../../../src/index.js';
import { deferred, until } from '../support.js';
import { refusalOf, within, type Scenario } from './world.js';

export async function typesOf(events: AsyncIterable<RunEvent>): Promise<string[]> {
  const types: string[] = [];
  let last = 0;
  for await (const { type, at } of events) {
    // How often a lease is renewed depends on how long the attempt takes.
    if (type !== 'lease_renewed') types.push(type);
    expect(at).toBeGreaterThanOrEqual(last);
    last = at;
  }
  return types;
}

const echo = (a: App) => a.task('echo', ({ input }: TaskContext<unknown>) => input as never);

export const RUNS: readonly Scenario[] = [
  {
    name: 'values arrive as JSON brings them, bytes as an array of their own',
    run: async ({ open }) => {
      const a = await open();
      const seen: unknown[] = [];
      const task = a.task('t', ({ input }: TaskContext<unknown>) => {
        seen.push(input);
        return input as never;
      });
      await a.worker();
      const values = [undefined, null, 0, '', 'Größe 😀', [], [[]], { a: { b: [1, null] } }, { '': 1 }, -1.5e-7];
      for (const value of values) expect(await task.run(value).result()).toEqual(value);
      expect(seen).toEqual(values);
      const pooled = Buffer.from('pooled bytes');
      for (const bytes of [new Uint8Array(0), pooled, pooled.subarray(2, 5), new Uint8Array(70_000).fill(7)]) {
        const run = await task.run(bytes);
        const { input, result } = { ...(await run.result().then(() => run.info())) };
        for (const given of [seen.at(-1), await run.result(), input, result] as Uint8Array[]) {
          expect(Object.getPrototypeOf(given)).toBe(Uint8Array.prototype);
          expect([...given]).toEqual([...bytes]);
          expect(given.buffer.byteLength).toBe(given.byteLength);
        }
      }
    },
  },
  {
    name: 'what is given and got is a copy: changing it changes nothing that is stored',
    run: async ({ open }) => {
      const a = await open();
      const task = a.task('t', ({ input, tags, attempt }: TaskContext<{ list: number[] }>) => {
        input.list.push(attempt);
        const all = { ...tags };
        all['a.b'] = 'changed';
        return input;
      });
      await a.worker();
      const given = { list: [0] };
      const run = await task.run(given, { tags: { 'a.b': 'c' } });
      given.list.push(9);
      expect(await run.result()).toEqual({ list: [0, 1] });
      const first = await run.result();
      first.list.push(9);
      expect(await run.result()).toEqual({ list: [0, 1] });
      const info = await run.info();
      expect(info).toMatchObject({ input: { list: [0] }, result: { list: [0, 1] }, tags: { 'a.b': 'c' } });
      info.result?.list.push(9);
      expect((await run.info()).result).toEqual({ list: [0, 1] });
      const spoils = a.task('spoils', ({ input }: TaskContext<Uint8Array>) => {
        const copy = Uint8Array.from(input);
        input.fill(0);
        return copy;
      });
      const bytes = Uint8Array.of(1, 2);
      const spoilt = await spoils.run(bytes);
      await spoilt.result();
      expect((await spoilt.info()).input).toEqual(bytes);
      const raw = await echo(a).run(bytes);
      bytes[0] = 9;
      const got = (await raw.result()) as unknown as Uint8Array;
      got[1] = 9;
      expect(await raw.result()).toEqual(Uint8Array.of(1, 2));
    },
  },
  {
    name: 'info has the same members and facts, before, during and after',
    run: async ({ open }) => {
      const a = await open({ namespace: 'shop', creatorIdentity: 'web' });
      const [begun, go] = [deferred(), deferred()];
      const task = a.task(
        't',
        { lane: 'mail:out', priority: 5, retry: { failures: 2 }, timeout: { attempt: '1m', total: '1h' } },
        async ({ progress, input }: TaskContext<string>) => {
          await progress(50, 'half');
          begun.resolve();
          await go.promise;
          return [input];
        },
      );
      const run = await task.run('x', { id: 'own', tags: { 'team.name': 'core' } });
      const before = await run.info();
      const worker = await a.worker({ workerId: 'pool', liveness: false });
      await begun.promise;
      const { worker: holder, ...during } = await run.info();
      expect(holder).toBe('pool');
      go.resolve();
      await run.result();
      const after = await run.info();
      expect(after).toMatchObject({ id: run.id, ownId: 'own', lane: 'mail:out', state: 'completed', result: ['x'] });
      await worker.close();
      // How often it was claimed by its id is of the engine: the facts that users read are all compared.
      return { before, during, after };
    },
  },
  {
    name: 'a run and its retry have the same events in the same order',
    run: async ({ open }) => {
      const a = await open();
      const retry = { failures: 1, backoff: backoff.fixed(1) };
      const task = a.task('t', { retry }, async ({ attempt, progress }: TaskContext<void>) => {
        await progress(attempt * 10);
        if (attempt === 1) throw new Error('no');
      });
      const run = await task.run();
      const reading = typesOf(run.events());
      await a.worker();
      await run.result();
      const types = await within(reading);
      expect(types[0]).toBe('execution_created');
      expect(await within(typesOf(run.events()))).toEqual(types);
      return types;
    },
  },
  {
    name: 'the same id is the same run; with another input or of another task it is refused',
    run: async ({ open }) => {
      const [a, b] = [await open(), await open()];
      const [task, same, other] = [echo(a), echo(b), b.task('other', () => 1)];
      const run = await task.run({ a: 1, b: 2 }, { id: 'o1', idempotencyKey: undefined });
      const again = await same.run({ a: 1, b: 2 }, { id: 'o1' });
      expect([run.deduplicated, again.deduplicated, again.id === run.id]).toEqual([false, true, true]);
      const keyed = await task.run(1, { idempotencyKey: 'k' });
      expect(await same.run(1, { idempotencyKey: 'k' })).toMatchObject({ id: keyed.id, deduplicated: true });
      const many = await same.runMany([{ a: 1, b: 2 }, 5], (_, index) => ({ id: `o${index + 1}` }));
      expect(many.map(({ deduplicated }) => deduplicated)).toEqual([true, false]);
      const gone = `${run.id.slice(0, -4)}0000`;
      return {
        conflict: await refusalOf(() => same.run({ a: 1, b: 3 }, { id: 'o1' })),
        conflictOfKey: await refusalOf(() => same.run(2, { idempotencyKey: 'k' })),
        otherTask: await refusalOf(() => other.get(run.id).state()),
        noSuchId: await refusalOf(() => same.get({ id: 'o9' }).state()),
        noSuchRun: [
          await refusalOf(() => same.get(gone).result()),
          await refusalOf(() => same.get(gone).info()),
          await refusalOf(() => same.get(gone).cancel()),
          await refusalOf(() => same.get(gone).explain()),
          await refusalOf(() => same.get(gone).signal('s')),
          await refusalOf(() => same.get(gone).hold()),
          await refusalOf(() => same.get(gone).setTags({ 'a.b': 'c' })),
          await refusalOf(() => typesOf(same.get(gone).events())),
        ],
      };
    },
  },
  {
    name: 'a lane starts higher priorities first, and the older of two',
    partitions: 1,
    run: async ({ open }) => {
      const a = await open();
      const order: string[] = [];
      const task = a.task('t', ({ input }: TaskContext<string>) => void order.push(input));
      const high = a.task('u', { lane: 't', priority: 7 }, ({ input }: TaskContext<string>) => void order.push(input));
      const runs = [await task.run('old'), await high.run('high'), await task.run('new')];
      runs.push(await task.run('urgent', { priority: 9_000 }), await high.run('high too'));
      runs.push(await task.run('least', { priority: 0 }), await high.run('first', { priority: 9_000 }));
      await runs[2]?.setPriority(8);
      await a.worker({ slots: 1, claimAhead: 0 });
      for (const run of runs) await run.result();
      expect(order).toEqual(['urgent', 'first', 'new', 'high', 'high too', 'old', 'least']);
    },
  },
  {
    name: 'many runs come in the order of their inputs, and lists have the newest first',
    partitions: 1,
    run: async ({ open }) => {
      const a = await open();
      const task = echo(a);
      const runs = await task.runMany(
        Array.from({ length: 300 }, (_, index) => index),
        (_, index) => ({ tags: { 'n.odd': String(index % 2) } }),
      );
      const inputs = await Promise.all([0, 1, 150, 299].map(async (index) => (await runs[index]?.info())?.input));
      expect(inputs).toEqual([0, 1, 150, 299]);
      const listed: string[] = [];
      for await (const { id } of a.runs({ tag: { 'n.odd': '1' } })) listed.push(id);
      const odd = runs.filter((_, index) => index % 2 === 1).map(({ id }) => id);
      expect(new Set(listed)).toEqual(new Set(odd));
      const { total, states, lanes } = await a.counts();
      return { total, states, lanes };
    },
  },
  {
    name: 'progress, tags and the end of a run are seen by another app at once',
    run: async ({ open }) => {
      const [a, b] = [await open({ namespace: 'shop' }), await open({ namespace: 'shop' })];
      const ends: { name: string; failure?: Failure }[] = [];
      for (const name of ['completed', 'failed', 'cancelled', 'expired'] as const)
        await b.on(name, ({ at: _, id: __, ...end }) => void ends.push({ name, ...end }));
      const go = deferred();
      const task = a.task('t', async ({ progress, input }: TaskContext<number>) => {
        await progress(30, 'going');
        await go.promise;
        if (input === 2) throw new TypeError('no');
      });
      await a.worker();
      const run = await task.run(1, { id: 'own', tags: { 'a.b': 'c' } });
      const seen = b.get(run.id);
      await within(until(async () => (await seen.info()).progress?.percent === 30));
      await seen.setTags({ 'a.b': 'd', 'a.e': 'f' });
      const ended = seen.result();
      go.resolve();
      expect(await within(ended)).toBeUndefined();
      await task
        .run(2)
        .result()
        .catch(() => undefined);
      const cancelled = await task.run(3, { delay: '1h' });
      await cancelled.cancel('changed mind');
      await task.run(4, { delay: '1h', deadline: '50ms' });
      await within(until(() => ends.length === 4));
      // Partitions have no common order.
      ends.sort((one, other) => one.name.localeCompare(other.name));
      return ends.map((end) => ({ ...end, ...(end.failure && { failure: { ...end.failure, details: 'a stack' } }) }));
    },
  },
];
