/** What a run of a flow can say of all its members, and lists of flows. */
import { expect, it } from 'vitest';
import { app, child, memory, type FlowInfo, type FlowQuery, type TaskContext } from '../../../src/index.js';
import { testApp } from '../../../src/testing/index.js';
import { memoryApp } from '../support.js';

async function all<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

it('a flow has a priority for nodes without one, and a delay for those that start it', async () => {
  await using t = testApp();
  const task = t.app.task<unknown, number>('task', { priority: 1 }, () => 1);
  const flow = t.app.flow('f', (f) => {
    const [first, late] = [f.run(task, 0), f.run(task, 0, { delay: '2s', priority: 3 })];
    return [first, late, f.run(task, { first }), f.run(task, { first }, { delay: '3s' })];
  });
  const startedAt = t.now();
  const run = flow.run(undefined, { delay: '10s', priority: 7 });
  const members = await all(run.children);
  const facts = await Promise.all(
    members.map(async ({ id }) => {
      const { priority, execution } = await t.app.get(id).info();
      return [priority, execution.delayUntil === undefined ? 'none' : execution.delayUntil - startedAt];
    }),
  );
  expect(facts).toEqual([
    [7, 10_000],
    [3, 12_000],
    [7, 'none'],
    [7, 13_000],
  ]);
});

it('the delay of a flow or of a node can be a time: nodes with a duration start so much later', async () => {
  await using t = testApp();
  const task = t.app.task<unknown, number>('task', () => 1);
  const at = t.now() + 10_000;
  const flow = t.app.flow('f', (f) => {
    const first = f.run(task, 0);
    return [first, f.run(task, { first }, { delay: '3s' }), f.run(task, 0, { delay: new Date(at + 1) })];
  });
  const untilOf = async (delay: Date | '10s') => {
    const members = await all(flow.run(undefined, { delay }).children);
    return Promise.all(members.map(async ({ id }) => (await t.app.get(id).info()).execution.delayUntil));
  };
  expect(await untilOf(new Date(at))).toEqual([at, at + 3_000, at + 1]);
  expect(await untilOf('10s')).toEqual([at, at + 3_000, at + 1]);
});

it('the deadline of a flow ends its members, a shorter one of their task before it', async () => {
  await using t = testApp();
  const patient = t.app.task('patient', ({ sleep }: TaskContext) => sleep('1d'));
  const hasty = t.app.task('hasty', { timeout: { total: '1s' } }, ({ sleep }: TaskContext) => sleep('1d'));
  const flow = t.app.flow('f', (f) => {
    f.run(patient);
    f.run(hasty);
    f.run(patient, undefined, { delay: '1h' });
  });
  const startedAt = t.now();
  for (const deadline of ['5s', new Date(startedAt + 5_000)] as const) {
    const members = await all(flow.run(undefined, { deadline }).children);
    const ends = members.map(async ({ id }) => (await t.app.get(id).info()).execution.executionDeadlineAt);
    expect(await Promise.all(ends)).toEqual([startedAt + 5_000, startedAt + 1_000, startedAt + 5_000]);
  }
  await t.app.worker({ slots: 10 });
  const run = await flow.run(undefined, { deadline: '5s' });
  await t.advance('2s');
  const [, second] = await all(run.children);
  expect(second).toMatchObject({ task: 'hasty', state: 'expired' });
  await t.advance('5s');
  expect((await all(run.children)).map(({ state }) => state)).toEqual(['expired', 'expired', 'expired']);
  expect(await run.state()).toBe('failed');
});

it('options of a flow are refused in the words of its caller, and read in the turn of the call', async () => {
  await using a = memoryApp();
  const task = a.task('task', () => 1);
  const flow = a.flow('f', (f) => f.run(task));
  for (const [option, wrong] of [
    ['delay', '5 s'],
    ['priority', -1],
    ['deadline', new Date(NaN)],
  ] as const)
    await expect(flow.run(undefined, { [option]: wrong })).rejects.toThrow(`Run of flow "f": ${option} must be`);
  const deadline = new Date(Date.now() + 3_600_000);
  const at = Number(deadline);
  const run = flow.run(undefined, { deadline });
  deadline.setTime(1);
  const [member] = await all(run.children);
  expect((await a.get(member?.id ?? '').info()).execution.executionDeadlineAt).toBe(at);
});

it('flows are listed with what is known of them, by name and state, and without the children of handlers', async () => {
  await using a = memoryApp({}, { partitions: { count: 3 } });
  const task = a.task('task', ({ input }: TaskContext<string>) => {
    if (input === 'fails') throw new Error('no');
    return input;
  });
  const one = a.flow('one', (f, input: string[]) => input.map((each) => f.run(task, each)));
  const race = a.flow('race', (f) => {
    f.run(task, f.any([f.run(task, 'a'), f.run(task, 'b')]));
  });
  const runs = [
    await one.run(['x'], { id: 'mine', tags: { 'a.b': 'c' } }),
    await one.run(['fails', 'y']),
    await one.run(['z'], { delay: '1h' }),
    await race.run(undefined),
  ];
  const idsOf = async (query?: FlowQuery): Promise<number[]> =>
    (await all(a.flows(query))).map(({ id }) => runs.findIndex((run) => run.id === id)).sort();
  expect(await idsOf({ state: 'waiting' })).toEqual([0, 1, 3]);
  expect(await idsOf({ state: 'blocked' })).toEqual([2]);
  await a.worker({ slots: 4 });
  await Promise.allSettled([0, 1, 3].map((index) => runs[index]?.result()));
  expect(await idsOf()).toEqual([0, 1, 2, 3]);
  expect(await idsOf({ flow: one })).toEqual([0, 1, 2]);
  expect(await idsOf({ flow: 'race', state: 'completed' })).toEqual([3]);
  expect(await idsOf({ state: 'completed' })).toEqual([0, 3]);
  expect(await idsOf({ state: 'failed' })).toEqual([1]);
  const listed = await all(a.flows());
  expect(listed.map(({ id }) => id.slice(-36))).toEqual(listed.map(({ id }) => id.slice(-36)).sort());
  for (const info of listed) expect(info).toEqual(await runs.find(({ id }) => id === info.id)?.info());
  const behind: FlowInfo[] = await all(a.flows({ after: listed[1]?.id }));
  expect(behind).toEqual(listed.slice(2));
});

it('flows of other namespaces and the children of a handler are not listed', async () => {
  const backend = memory();
  await using a = app({ backend, closeBackend: false });
  await using b = app({ backend, namespace: 'other' });
  const task = a.task('task', () => 1);
  const parent = a.task('parent', ({ children }) => children.all([child(task)]));
  const other = b.task('task', () => 1);
  await b.flow('f', (f) => f.run(other)).run(undefined);
  await a.worker({ slots: 2 });
  await parent.run(undefined).result();
  expect(await all(a.flows())).toEqual([]);
  expect((await all(b.flows())).map(({ flow }) => flow)).toEqual(['f']);
});

it('a query of flows that is wrong is refused when the iteration begins', async () => {
  await using a = memoryApp();
  for (const [query, message] of [
    [{ state: 'open' }, 'flows: state must be one of running, waiting, blocked, completed, failed, cancelled'],
    [{ flow: 5 }, 'flows: flow must be a flow, or the name of one'],
    [{ after: 'x' }, 'flows: after must be the id of a flow'],
    [{ name: 'x' }, 'flows'],
  ] as const)
    await expect(all(a.flows(query as never))).rejects.toThrow(message);
});
