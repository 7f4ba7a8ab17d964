/** Answers of an app that are made of several records, some of them damaged. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KEYS, RECORDS } from '../../lua/layout.js';
import { app, child, type App, type Flow, type TaskContext } from '../../src/index.js';
import { coreKey } from '../../src/valkey/keys.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { rejectionOf } from './support.js';

let a: App;
let admin: Valkey;
let prefix: string;

beforeEach(async () => {
  const { url } = await sharedValkey();
  prefix = `parts-${randomUUID()}:`;
  a = app({ backend: valkey({ url, prefix, partitions: { count: 1, budgets: 1 } }) });
  admin = new Valkey(url);
});
afterEach(async () => {
  admin.disconnect();
  await a.close();
});

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

/** Flows of the tasks `good` and `bad`, and of `last`, which needs one of the two. */
function declared(): Flow<unknown, unknown> {
  const good = a.task('good', () => 1);
  const bad = a.task('bad', { retry: { failures: 0 } }, () => {
    throw new Error('no luck');
  });
  const last = a.task('last', ({ input }: { input: unknown }) => input);
  return a.flow('f', (f) => {
    f.run(last, f.any([f.run(good), f.run(bad)]));
  }) as Flow<unknown, unknown>;
}

/** Damages the record of an execution; the result puts it back. */
async function spoil(id: string): Promise<() => Promise<unknown>> {
  const key = coreKey(prefix, id);
  const kept = await admin.dumpBuffer(key);
  await admin.hset(key, 'l', '?');
  return () => admin.restore(key, 0, kept as Buffer, 'REPLACE');
}

it('a flow lists its readable members, names the damaged one, and keeps the state that its counts show', async () => {
  const flow = declared();
  const run = await flow.run(1);
  const children = await all(run.children);
  const idOf = (task: string): string => children.find((child) => child.task === task)?.id ?? '';
  const tasks = async () => (await all(run.children)).map(({ task }) => task);
  const damaged = { id: idOf('good'), task: idOf('good'), state: 'unreadable' };
  const restore = await spoil(idOf('good'));
  // It is still waiting.
  expect(await tasks()).toEqual(['bad', 'last']);
  const waiting = await run.explain();
  expect(waiting).toMatchObject({ state: 'waiting', members: [{ task: 'bad' }], waiting: 1, failed: [damaged] });
  expect(waiting.sentence).toContain('1 member is unreadable.');
  const last = await a.get(idOf('last')).explain();
  expect(last.sentence).toContain(`bad, ${idOf('good')} (unreadable)`);
  expect(last.remedy).toContain('quarantined');
  await restore();
  await a.worker();
  expect(await run.result()).toBeUndefined();
  expect([await run.state(), (await run.explain()).state]).toEqual(['completed', 'completed']);
  // The failed member lost a race, but what it was needed for is unreadable.
  for (const [task, named] of [
    ['last', ['bad', 'unreadable']],
    ['bad', ['unreadable']],
  ] as const) {
    const mend = await spoil(idOf(task));
    expect(await tasks()).toEqual(['good', 'bad', 'last'].filter((each) => each !== task));
    expect([await run.state(), (await run.info()).state]).toEqual(['failed', 'failed']);
    const { state, failed, sentence } = await run.explain();
    expect([state, failed.map((each) => (each.state === 'unreadable' ? each.state : each.task))]).toEqual([
      'failed',
      named,
    ]);
    expect(sentence).toContain(`${idOf(task)} unreadable`);
    expect(await rejectionOf(run.result())).toMatchObject({ code: 'flow_failed', members: failed });
    expect(await rejectionOf(run.usage())).toMatchObject({
      code: 'corruption',
      message: expect.stringContaining(idOf(task)) as string,
    });
    await mend();
  }
});

it('a flow whose only open member is damaged does not read as ended', async () => {
  const run = await declared().run(1);
  const ids = (await all(run.children)).map(({ id }) => id);
  for (const id of ids) await spoil(id);
  expect(await all(run.children)).toEqual([]);
  expect(await run.explain()).toMatchObject({ state: 'waiting', sentence: '3 members are unreadable.' });
});

it('bills list the readable days of all budgets first, and then name the damaged ones', async () => {
  const budgets = ['one', 'two', 'three'].map((name) => a.budget(name, { limits: { tokens: { hard: 9 } } }));
  for (const budget of budgets) await budget.report({ tokens: 1 });
  const [one, two] = budgets.map(({ id }) => id);
  const yesterday = Math.floor(Date.now() / 86_400_000) - 1;
  const date = new Date(yesterday * 86_400_000).toISOString().slice(0, 10);
  const bill = `${prefix}{b:0}:${RECORDS.bill?.key}${one}:${yesterday}`;
  await admin.hset(bill, RECORDS.bill?.fields['totals'] ?? '', 'x\ty\tz');
  await admin.hset(`${prefix}{b:0}:${RECORDS.budget?.key}${two}`, RECORDS.budget?.fields['given'] ?? '', 'x');
  const names: unknown[] = [];
  const reading = (async () => {
    for await (const { name } of a.bills()) names.push(name);
  })();
  const error = await rejectionOf(reading);
  expect(names.sort()).toEqual(['one', 'three']);
  expect(error).toMatchObject({ code: 'corruption' });
  expect(String(error)).toContain(`${date} of one (${one})`);
  expect(String(error)).toContain(`all of ${two}`);
  expect(String(await rejectionOf(budgets[0]?.bill() as Promise<unknown>))).toContain(date);
});

it('counts name the lane whose counts are damaged', async () => {
  for (const lane of ['mail', 'Größe', 'sms']) await a.task(lane, { lane }, () => 1).run();
  expect((await a.counts()).damaged).toEqual([]);
  const keys = await admin.keys(`${prefix}{fp:0}:${KEYS.counts}*`);
  await admin.hset(keys.find((key) => !/mail|sms/.test(key)) as string, 'r', 'many');
  const { total, lanes, damaged } = await a.counts();
  expect([total, Object.keys(lanes), damaged]).toEqual([2, ['mail', 'sms'], ['Größe']]);
});

it('the children of a run are listed without the damaged one', async () => {
  const each = a.task('each', ({ input }: TaskContext<number>) => input);
  const parent = a.task('parent', ({ children }: TaskContext<undefined>) =>
    children.all([child(each, 1), child(each, 2)]),
  );
  const run = await parent.run();
  await a.worker();
  await run.result();
  const [first] = await all(run.children);
  await spoil(first?.id ?? '');
  expect((await all(run.children)).map(({ id }) => id)).not.toContain(first?.id);
  expect(await all(run.children)).toHaveLength(1);
});
