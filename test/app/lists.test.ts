/** Runs as an app lists, counts and replays them, on both backends and over several partitions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  app,
  EngineError,
  memory,
  NonRetryableError,
  type App,
  type DeadLetterFilter,
  type RunFilter,
  type RunRow,
} from '../../src/index.js';
import type { Backend } from '../../src/backend/backend.js';
import { newestFirst as newest } from '../../src/engine/lists.js';
import { systemClock } from '../../src/engine/clock.js';
import { replayMany } from '../../src/engine/replay-many.js';
import { valkey } from '../../src/valkey/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

let server: ValkeyServer;
beforeAll(async () => {
  server = await startValkey();
});
afterAll(() => server?.stop());

let deployments = 0;
const BACKENDS = {
  memory: async (): Promise<Backend> => memory({ partitions: { count: 4 } }),
  valkey: async (): Promise<Backend> =>
    valkey({ url: server.url, prefix: `lists${deployments++}:`, partitions: { count: 4 } }),
};

const all = async (rows: AsyncIterable<RunRow>): Promise<RunRow[]> => {
  const found: RunRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
};
const idsOf = (rows: readonly RunRow[]): string[] => rows.map(({ id }) => id);
const newestFirst = (ids: readonly string[]): string[] =>
  [...ids].sort((a, b) => (a.slice(-36) < b.slice(-36) ? 1 : -1));

describe.each(Object.entries(BACKENDS))('on %s', (_, open) => {
  /** An app with forty runs: odd numbers fail, for one of two reasons; ten of another task wait. */
  async function world(): Promise<{
    a: App;
    backend: Backend;
    failed: string[];
    waiting: string[];
    mended: { is: boolean };
  }> {
    const backend = await open();
    const a = app({ backend });
    const mended = { is: false };
    const charge = a.task('charge', { lane: 'Größe' }, ({ input }: { input: number }) => {
      if (input % 2 === 0 || mended.is) return input;
      throw new NonRetryableError('no', { category: input % 4 === 1 ? 'declined' : 'constructor' });
    });
    const mail = a.task<number, void>('mail');
    await a.worker({ tasks: [charge] });
    const charged = await charge.runMany(
      Array.from({ length: 40 }, (_, i) => i),
      (i) => ({ tags: { 'order.part': String(i % 2) } }),
    );
    const mailed = await mail.runMany(
      Array.from({ length: 10 }, (_, i) => i),
      (i) => ({ id: `mail ${i}` }),
    );
    await Promise.all(charged.map((run) => run.result().catch(() => undefined)));
    const failed = charged.filter((_, i) => i % 2 === 1).map(({ id }) => id);
    return { a, backend, failed, waiting: mailed.map(({ id }) => id), mended };
  }

  test('runs are listed by state, lane, task, tag and failure, newest first, over all partitions', async () => {
    const { a, failed, waiting } = await world();
    await using _a = a;
    expect(new Set(failed.map((id) => id.slice(0, id.indexOf('}')))).size).toBeGreaterThan(1);
    expect(await all(a.runs())).toHaveLength(50);
    expect(idsOf(await all(a.runs({ state: 'failed' })))).toEqual(newestFirst(failed));
    for (const filter of [{ kind: 'mail' }, { task: 'mail' }, { task: { name: 'mail', lane: 'mail' } }])
      expect(idsOf(await all(a.runs(filter)))).toEqual(newestFirst(waiting));
    await expect(all(a.runs({ kind: 'mail', task: 'mail' }))).rejects.toThrow('left out beside `task`');
    await expect(all(a.runs({ task: 7 as never }))).rejects.toThrow('a task, or the name of one');
    expect(idsOf(await all(a.runs({ state: 'waiting', lane: 'mail' })))).toEqual(newestFirst(waiting));
    const own = [...waiting].map((id, i) => ({ id, ownId: `mail ${i}`, tags: {} }));
    for (const order of ['newest', 'priority'] as const)
      expect(await all(a.runs({ lane: 'mail', order }))).toEqual(
        expect.arrayContaining(own.map((row) => expect.objectContaining(row))),
      );
    expect(idsOf(await all(a.runs({ tag: { 'order.part': '1' } })))).toEqual(newestFirst(failed));
    const declined = await all(a.runs({ lane: 'Größe', failure: 'declined' }));
    expect(declined).toHaveLength(10);
    expect(declined[0]).toMatchObject({
      task: 'charge',
      lane: 'Größe',
      state: 'failed',
      attempts: 1,
      replays: 0,
      held: false,
      tags: { 'order.part': '1' },
      ownId: undefined,
    });
    // A reader that stops goes on behind the last that it saw.
    const rows = newestFirst(failed);
    const some: string[] = [];
    for await (const { id } of a.runs({ state: 'failed' })) if (some.push(id) === 7) break;
    const rest = idsOf(await all(a.runs({ state: 'failed', after: some.at(-1) })));
    expect([...some, ...rest]).toEqual(rows);
  });

  test('waiting work of a lane is listed by priority over all partitions, also while the lane is paused', async () => {
    await using a = app({ backend: await open() });
    const mail = a.task<number, void>('mail');
    const priorities = [3, 900, 0, 3, 77, 900, 3];
    const runs = await Promise.all(
      priorities.map((priority, i) => mail.run(i, { priority, tags: { 'a.b': `${i % 2}` } })),
    );
    await runs[1]?.hold();
    await a.lane('mail').pause();
    const rows = await all(a.runs({ lane: 'mail', order: 'priority' }));
    expect(rows.map(({ priority }) => priority)).toEqual([900, 77, 3, 3, 3, 0]);
    for (const [i, row] of rows.entries())
      expect(row.createdAt).toBeGreaterThanOrEqual(i > 2 && i < 5 ? (rows[i - 1]?.createdAt ?? 0) : 0);
    expect(idsOf(await all(a.runs({ lane: 'mail', order: 'priority', tag: { 'a.b': '1' } })))).toEqual(
      [5, 3].map((i) => runs[i]?.id),
    );
    const refused: readonly (readonly [wrong: RunFilter, told: string])[] = [
      [{}, 'lane must be the name of a lane'],
      [{ lane: 'mail', state: 'failed' }, 'state must be left out or "waiting"'],
      [{ lane: 'mail', failure: 'declined' }, 'failure must be left out'],
      [{ lane: 'mail', cancelledBy: 'caller' }, 'cancelledBy must be left out'],
      [{ lane: 'mail', held: true }, 'held must be left out'],
      [{ lane: 'mail', worker: 'w' }, 'worker must be left out'],
      [{ lane: 'mail', after: runs[0]?.id }, 'after must be left out'],
    ];
    for (const [wrong, told] of refused)
      await expect(all(a.runs({ order: 'priority', ...wrong }))).rejects.toMatchObject({
        name: 'InvalidDefinitionError',
        message: expect.stringContaining(`: ${told}`) as string,
      });
    await expect(all(a.runs({ order: 'oldest' as 'newest' }))).rejects.toMatchObject({
      name: 'InvalidDefinitionError',
    });
  });

  test('runs are counted by lane and state', async () => {
    const { a } = await world();
    await using _a = a;
    const counts = await a.counts();
    expect(counts).toMatchObject({ total: 50, states: { waiting: 10, completed: 20, failed: 20 }, held: 0 });
    expect(Object.keys(counts.lanes)).toEqual(['Größe', 'mail']);
    expect(counts.lanes['mail']).toMatchObject({
      total: 10,
      states: { waiting: 10 },
      reasons: { waiting_for_worker: 10 },
    });
  });

  test('dead letters are replayed by filter: first as a dry run, then for real, and never twice', async () => {
    const { a, failed, mended } = await world();
    await using _a = a;
    const filter = { failure: 'declined' };
    const dry = await a.deadLetters.replay(filter, { dryRun: true });
    expect(dry).toMatchObject({ matched: 10, replayed: 0, failed: 0, complete: true, categories: { declined: 10 } });
    const { categories } = await a.deadLetters.replay({}, { dryRun: true });
    expect(categories).toEqual({ declined: 10, constructor: 10 });
    expect(await all(a.deadLetters.list())).toHaveLength(20);
    for await (const { name } of a.deadLetters.quarantined()) expect.fail(`${name} is set aside`);
    mended.is = true;
    const part = await a.deadLetters.replay(filter, { limit: 4, reason: 'the bank is back' });
    expect(part).toMatchObject({ matched: 4, replayed: 4, complete: false });
    const rest = await a.deadLetters.replay({ ...filter, after: part.next });
    expect(rest).toMatchObject({ matched: 6, replayed: 6, complete: true, next: undefined });
    const replayed = failed.filter((_, i) => i % 2 === 0);
    await Promise.all(replayed.map((id) => a.get(id).result({ timeout: '20s' })));
    expect(await a.deadLetters.replay(filter)).toMatchObject({ matched: 0, replayed: 0, complete: true });
    expect((await a.counts()).states).toEqual({ waiting: 10, completed: 30, failed: 10 });
  });
});

test('a replay reports its failures and continues; an unreachable store ends it early, with a report', async () => {
  const inner = memory();
  let [refused, away] = [undefined as string | undefined, false];
  const backend: Backend = {
    ...inner,
    replayExecution: async (args) => {
      if (args.executionId === refused) throw new EngineError('max_replays_exhausted', 'Too often.');
      if (away) throw new EngineError('transport_failed', 'x.');
      return inner.replayExecution(args);
    },
  };
  await using a = app({ backend });
  const fail = a.task('fail', () => Promise.reject(new NonRetryableError('no')));
  const worker = await a.worker();
  const runs = await fail.runMany([1, 2, 3] as never[]);
  await Promise.all(runs.map((run) => run.result().catch(() => undefined)));
  await worker.close();
  refused = runs[1]?.id;
  const report = await a.deadLetters.replay();
  expect(report).toMatchObject({ matched: 3, replayed: 2, failed: 1, complete: true });
  expect(report.faults).toMatchObject([
    {
      executionId: refused,
      code: 'max_replays_exhausted',
      hint: expect.stringContaining('create a new one') as string,
    },
  ]);
  away = true;
  refused = undefined;
  const options = {
    dryRun: false,
    limit: 9,
    reason: '',
    requestedBy: undefined,
    steps: 'keep',
    signal: undefined,
  } as const;
  const once = <T>(command: () => Promise<T>): Promise<T> => command();
  const rows = newest(backend, [{ publicState: 'failed' }], {});
  const cutOff = await replayMany(backend, rows, { ...options, after: undefined, clock: systemClock, call: once });
  expect(cutOff).toMatchObject({ matched: 1, replayed: 0, failed: 1, complete: false, next: undefined });
});

test("an invalid filter is refused in terms of the user's options", async () => {
  await using a = app({ backend: memory() });
  const first = (filter: object): Promise<unknown> => all(a.runs(filter));
  await expect(first({ status: 'failed' })).rejects.toThrow(/there is no option "status"/);
  await expect(first({ state: 'constructor' })).rejects.toThrow(/state must be one of waiting/);
  await expect(first({ after: 'x' })).rejects.toThrow(/after must be the id of a run/);
  await expect(first({ tag: 'x' })).rejects.toThrow(/tag must be a plain object/);
  await expect(a.deadLetters.replay({}, { limit: 0 })).rejects.toThrow(/limit must be a whole number/);
  // Ignoring the state would replay every dead letter.
  const ended = { state: 'completed' } as DeadLetterFilter;
  await expect(a.deadLetters.replay(ended)).rejects.toThrow('deadLetters.replay: state must be left out');
  await expect(all(a.deadLetters.list(ended))).rejects.toThrow('deadLetters.list: state must be left out');
});
