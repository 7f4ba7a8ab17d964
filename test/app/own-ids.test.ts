/** Runs by the ids that their callers give them, and all that is known about a run. */
import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import { app, backoff, child, memory, valkey, type App, type Backend, type TaskContext } from '../../src/index.js';
import { testApp } from '../../src/testing/test-app.js';
import { sharedValkey } from '../support/valkey/index.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App;
afterEach(() => a?.close());

const backends: [string, () => Promise<Backend>][] = [
  ['memory', async () => memory({ partitions: { count: 4 } })],
  [
    'valkey',
    async () =>
      valkey({
        url: (await sharedValkey()).url,
        prefix: `own-ids-${process.pid}-${Date.now()}:`,
        partitions: { count: 4 },
      }),
  ],
];

describe.each(backends)('by an own id, on %s', (_name, open) => {
  it.each([
    [Buffer.from('1'), 1],
    [{ a: 1 }, Buffer.from('{"a":1}')],
    [undefined, new Uint8Array(0)],
  ])('takes bytes for another input than the value of which they are the JSON: %j', async (first, second) => {
    a = app({ backend: await open() });
    const task = a.task('t', ({ input }: TaskContext<unknown>) => input);
    await task.run(first, { id: 'i' });
    expect((await task.run(first, { id: 'i' })).deduplicated).toBe(true);
    expect(await rejectionOf(task.run(second, { id: 'i' }))).toMatchObject({ code: 'run_id_conflict' });
  });

  it('a run is found by each process, under its own task only, with any characters in its id', async () => {
    const backend = await open();
    const web = app({ backend, closeBackend: false });
    a = app({ backend });
    const define = (on: App) =>
      ['charge', 'mail:send'].map((name) => on.task(name, ({ input }: TaskContext<number>) => input + 1));
    const [webCharge, webMail] = define(web);
    const [charge, mail] = define(a);
    await a.worker();
    for (const id of ['o1', 'o:1', '{fp:0}', 'ä😀', ' ', 'x'.repeat(240)]) {
      const run = await webCharge?.run(5, { id });
      expect(await charge?.get({ id }).id).toBe(run?.id);
      expect(await charge?.get({ id }).result()).toBe(6);
      expect(await rejectionOf(mail?.get({ id }).state() as Promise<string>)).toMatchObject({
        code: 'run_not_found',
        message: `The run of task "mail:send" with id "${id}" does not exist`,
        hint: expect.stringContaining('`idempotencyWindow`'),
      });
      expect(await charge?.get({ id }).info()).toMatchObject({ ownId: id, tags: {}, task: 'charge' });
    }
    expect(await webMail?.run(1, { id: 'o1' }).deduplicated).toBe(false);
    await web.close();
  });

  it('a second run with another input is refused, and one with the same input is the first run', async () => {
    a = app({ backend: await open() });
    const charge = a.task('charge', ({ input }: TaskContext<unknown>) => input as string);
    const first = await charge.run({ order: 'o1', cents: 5 }, { id: 'o1' });
    // The members may come in another order.
    expect(await charge.run({ cents: 5, order: 'o1' }, { id: 'o1' }).id).toBe(first.id);
    const conflict = {
      code: 'run_id_conflict',
      name: 'RunIdConflictError',
      executionId: first.id,
      task: 'charge',
      message: `${first.id} already has the id "o1", with another input (task "charge")`,
    };
    for (const input of [{ order: 'o1', cents: 6 }, undefined, null, '5', new Uint8Array([1])]) {
      expect(await rejectionOf(charge.run(input, { id: 'o1' }))).toMatchObject(conflict);
      expect(await rejectionOf(charge.runMany([1, input], (one) => (one === 1 ? {} : { id: 'o1' })))).toMatchObject(
        conflict,
      );
    }
    const bytes = new Uint8Array(3_000).fill(7);
    await charge.run(bytes, { id: 'bytes' });
    expect(await charge.run(bytes.slice(), { id: 'bytes' }).deduplicated).toBe(true);
    bytes[2_999] = 8;
    expect(await rejectionOf(charge.run(bytes, { id: 'bytes' }))).toMatchObject({ code: 'run_id_conflict' });
    await charge.run(1, { idempotencyKey: 'k' });
    expect(await rejectionOf(charge.run(2, { idempotencyKey: 'k' }))).toMatchObject({
      code: 'run_id_conflict',
      message: expect.stringContaining('already has the idempotencyKey "k"') as string,
    });
  });

  it("the execution id of another task's run is refused", async () => {
    a = app({ backend: await open() });
    const [charge, refund] = [a.task('charge', () => 1), a.task('refund', () => 'two')];
    const { id } = await refund.run();
    for (const asked of [
      () => charge.get(id).result(),
      () => charge.get(id).state(),
      () => charge.get(id).cancel(),
      () => charge.get(id).info(),
      () => charge.get(id),
    ])
      expect(await rejectionOf(asked())).toMatchObject({
        code: 'run_of_another_task',
        name: 'RunOfAnotherTaskError',
        message: `${id} is a run of task "refund", not of task "charge"`,
      });
    expect(await refund.get(id).state()).toBe('waiting');
    expect(await a.get(id).state()).toBe('waiting');
    expect(await rejectionOf(charge.get('{fp:0}:00000000-0000-7000-8000-000000000000'))).toMatchObject({
      code: 'run_not_found',
    });
  });
});

describe('the time of an own id', () => {
  it.each(['id', 'idempotencyKey'])(
    '%s names its run while that waits, and for as long as it is kept',
    async (kind) => {
      await using t = testApp();
      let calls = 0;
      const task = t.app.task('t', { retention: '1m' }, () => ++calls);
      const start = () => task.run(1, { [kind]: 'o1', delay: '10d' });
      const { id } = await start();
      await t.advance('9d');
      expect(await start()).toMatchObject({ id, deduplicated: true });
      await t.app.worker();
      await t.advance('2d');
      expect(await rejectionOf(task.get(id).state())).toMatchObject({ code: 'run_not_found' });
      const second = await start();
      expect(second.id).not.toBe(id);
      expect([calls, second.deduplicated]).toEqual([1, false]);
    },
  );

  it('is at least its window, from the creation of its run', async () => {
    await using t = testApp();
    const task = t.app.task('t', { retention: '1m' }, () => 1);
    await t.app.worker();
    const start = () => task.run(1, { id: 'o1', idempotencyWindow: '5d' });
    const run = await start();
    await run.result();
    await t.advance('4d');
    expect(await task.get({ id: 'o1' }).result()).toBe(1);
    expect((await start()).id).toBe(run.id);
    await t.advance('2d');
    expect((await start()).id).not.toBe(run.id);
  });
});

describe('the retention of what belongs together', () => {
  it('is that of its tasks: children go with the run that started them, members with their flow', async () => {
    await using t = testApp();
    const leaf = t.app.task('leaf', { retention: '1m' }, ({ input }: TaskContext<number>) => input);
    const parent = t.app.task('parent', { retention: '3m' }, async ({ children }: TaskContext<void>) => {
      const values = await children.all([child(leaf, 1), child(leaf, 2)]);
      return values.length;
    });
    const flow = t.app.flow('pair', (f) => [f.run(leaf, 1), f.run(leaf, 2)]);
    await t.app.worker();
    const [run, pair] = [await parent.run(), await flow.run(undefined)];
    expect([await run.result(), await pair.result()]).toEqual([2, [1, 2]]);
    const left = async (): Promise<number> => {
      let count = 0;
      for await (const _ of t.app.runs()) count += 1;
      return count;
    };
    await t.advance('50s');
    expect(await left()).toBe(5);
    await t.advance('75s');
    expect(await left()).toBe(3);
    await t.advance('3m');
    expect(await left()).toBe(0);
  });

  it('is at least the window of a flow with an id', async () => {
    await using t = testApp();
    const leaf = t.app.task('leaf', { retention: '1m' }, () => 1);
    const flow = t.app.flow('one', (f) => f.run(leaf));
    await t.app.worker();
    for (const [window, until, after] of [
      [undefined, '23h', '2h'],
      ['5d', '4d', '2d'],
    ] as const) {
      const start = () => flow.run(undefined, { id: 'f1', idempotencyWindow: window });
      const first = await start();
      await first.result();
      await t.advance(until);
      expect(await start()).toMatchObject({ id: first.id, deduplicated: true });
      await t.advance(after);
      const second = await start();
      expect(second.deduplicated).toBe(false);
      await second.result();
      await t.advance('10d');
    }
    expect(await rejectionOf((async () => flow.run(undefined, { idempotencyWindow: '1h' }))())).toMatchObject({
      code: 'invalid_definition',
    });
  });
});

describe('info', () => {
  it('has the own id, tags, input and result', async () => {
    a = memoryApp();
    const task = a.task('t', { lane: 'a:b' }, ({ input }: TaskContext<{ n: number }>) => ({ twice: input.n * 2 }));
    const run = await task.run({ n: 4 }, { id: 'i', tags: { 'team.name': 'x' } });
    expect(await run.info()).toMatchObject({
      ownId: 'i',
      task: 't',
      lane: 'a:b',
      tags: { 'team.name': 'x' },
      input: { n: 4 },
      result: undefined,
      failure: undefined,
      unavailable: [],
      state: 'waiting',
    });
    await a.worker();
    await run.result();
    expect(await run.info()).toMatchObject({ input: { n: 4 }, result: { twice: 8 }, state: 'completed' });
    const plain = await task.run({ n: 1 });
    expect((await plain.info()).ownId).toBeUndefined();
    expect((await plain.info()).tags).toEqual({});
  });

  it('has the failure, also while another attempt is due', async () => {
    await using t = testApp();
    const task = t.app.task('t', { retry: { failures: 1, backoff: backoff.fixed('1h') } }, () => {
      throw new TypeError('no such column');
    });
    await t.app.worker();
    const run = task.run(undefined);
    await t.advance('1s');
    expect(await run.info()).toMatchObject({
      state: 'delayed',
      failure: { message: 'no such column', category: 'handler_error' },
    });
    await t.advance('2h');
    expect(await run.info()).toMatchObject({ state: 'failed', failure: { message: 'no such column' } });
    expect(await rejectionOf(run.result())).toMatchObject({ reason: 'no such column', category: 'handler_error' });
  });
});

it("an own id and an idempotency key may fill the engine's limit together with their prefix, and no more", async () => {
  a = memoryApp();
  const task = a.task('mail', () => 1);
  const bound = {
    id: LIMITS.maxIdempotencyKeyBytes - 'id:4:mail:'.length,
    idempotencyKey: LIMITS.maxIdempotencyKeyBytes - 4,
  };
  for (const [option, most] of Object.entries(bound)) {
    await task.run(1, { [option]: `ä${'x'.repeat(most - 2)}` });
    expect(await rejectionOf(task.run(1, { [option]: `ä${'x'.repeat(most - 1)}` }))).toMatchObject({
      code: 'invalid_definition',
      message: `Run of task "mail": its ${option} may have ${most} bytes at most, and has ${most + 1}`,
    });
  }
});
