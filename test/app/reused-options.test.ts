/** Callers make an object of options once, and change it between their calls: a call has those of its moment. */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { app, child, memory, type RunOptions, type TaskContext } from '../../src/index.js';
import { memoryApp } from './support.js';

/** Options that can be changed. */
type Loose = { -readonly [Name in keyof RunOptions]: RunOptions[Name] };

it('a run has the options of its call', async () => {
  await using a = memoryApp();
  const task = a.task<number, void>('t');
  const tags: Record<`${string}.${string}`, string> = {};
  const options: Loose = { tags, deadline: new Date(Date.now() + 3_600_000) };
  const first = Number(options.deadline);
  const runs = [0, 1, 2].map((number) => {
    Object.assign(options, { id: `id ${number}`, priority: number });
    tags['a.b'] = `tag ${number}`;
    (options.deadline as Date).setTime(first + number);
    return task.run(number, options);
  });
  const infos = await Promise.all(runs.map((run) => run.info()));
  expect(
    infos.map(({ ownId, tags, priority, execution }) => [ownId, tags['a.b'], priority, execution.executionDeadlineAt]),
  ).toEqual([0, 1, 2].map((number) => [`id ${number}`, `tag ${number}`, number, first + number]));
});

it('a flow, its members and children have the options of their calls', async () => {
  await using a = memoryApp();
  const member = a.task('member', ({ tags }: TaskContext<{ of?: unknown }>) => tags['a.b']);
  const tags: Record<`${string}.${string}`, string> = {};
  const options = { tags };
  const flow = a.flow('f', (f) =>
    [0, 1].map((number) => {
      tags['a.b'] = `member ${number}`;
      return f.run(member, number === 0 ? {} : { of: f.run(member, {}) }, options);
    }),
  );
  const parent = a.task('parent', ({ children }) =>
    children.all(
      [0, 1].map((number) => {
        tags['a.b'] = `child ${number}`;
        return child(member, {}, options);
      }),
    ),
  );
  await a.worker({ slots: 3 });
  const given = { id: 'mine', tags: { 'of.flow': 'first' } };
  const run = flow.run(undefined, given);
  Object.assign(given, { id: 'other' });
  given.tags['of.flow'] = 'second';
  expect(await run.info()).toMatchObject({ ownId: 'mine', tags: { 'of.flow': 'first' } });
  expect(await run.result()).toEqual(['member 0', 'member 1']);
  expect(await parent.run(undefined).result()).toEqual(['child 0', 'child 1']);
});

it('budgets have the limits of their definition, and an app has its own options', async () => {
  const options = { backend: memory(), namespace: 'one' };
  await using a = app(options);
  options.namespace = 'two';
  const limits = { tokens: { hard: 1 } };
  const [one, two] = [1, 2].map((hard) => {
    limits.tokens.hard = hard;
    return a.budget(`budget ${hard}`, { limits });
  });
  expect([(await one?.status())?.hardLimits, (await two?.status())?.hardLimits]).toEqual([
    { tokens: 1 },
    { tokens: 2 },
  ]);
  const set = one?.setLimits(limits);
  limits.tokens.hard = 9;
  await set;
  expect((await one?.status())?.hardLimits).toEqual({ tokens: 2 });
  const { execution } = await a.task('t').run(undefined).info();
  expect(execution.namespace).toBe('one');
});

it('an input is that of the call also while an asynchronous schema checks it, and for quotas', async () => {
  await using a = memoryApp();
  const slow = a.task('slow', { input: z.object({ n: z.number() }).refine(async () => true) });
  const metered = a.task<{ tenant: string }, void>('metered', {
    quota: { name: 'q', concurrency: 1, per: (input: { tenant: string }) => input.tenant },
  });
  const [input, of] = [{ n: 1 }, { tenant: 'ann' }];
  const [run, quotas] = [slow.run(input), a.quotas.of(metered, of)];
  input.n = 2;
  of.tenant = 'bea';
  expect((await run.info()).input).toEqual({ n: 1 });
  expect((await quotas).map(({ key }) => key)).toEqual(['ann']);
});

it('a signing key is that of the call in every partition', async () => {
  await using a = app({ backend: memory({ partitions: { count: 3 } }) });
  const secret = new Uint8Array(32).fill(7);
  const rotated = a.signals.rotateKey({ kid: 'k', secret });
  secret.fill(0);
  await rotated;
  // Another secret under the same name would be refused.
  await a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32).fill(7) });
});

it('a child has the input of its call, and its quotas count it by that', async () => {
  await using a = memoryApp();
  const keys: string[] = [];
  const per = ({ of }: { of: string }): string => {
    keys.push(of);
    return of;
  };
  const task = a.task(
    'echo',
    { quota: { name: 'q', concurrency: 9, per } },
    ({ input }: TaskContext<{ of: string }>) => {
      return input.of;
    },
  );
  const bytes = a.task('bytes', ({ input }: TaskContext<Uint8Array>) => [...input]);
  const parent = a.task('parent', async ({ children }) => {
    const [input, buffer] = [{ of: '' }, new Uint8Array(1)];
    const described = ['ann', 'bea'].map((of, index) => {
      input.of = of;
      buffer.fill(index);
      return [child(task, input), child(bytes, buffer)] as const;
    });
    return children.all(described.flat());
  });
  await a.worker({ slots: 5 });
  expect(await parent.run(undefined).result()).toEqual(['ann', [0], 'bea', [1]]);
  expect(keys.sort()).toEqual(['ann', 'bea']);
});

it('a list has the filter of its call', async () => {
  await using a = memoryApp();
  const [one, two] = [a.task('one', { lane: 'l' }, () => 1), a.task('two', () => 2)];
  const flow = a.flow('f', (f) => f.run(two));
  await Promise.all([one.run(undefined, { tags: { 'a.b': 'c' } }), two.run(undefined), flow.run(undefined)]);
  const worker = await a.worker({ capabilities: ['gpu'] });
  await Promise.all([a.budget('x', { limits: { t: { hard: 1 } } }).status()]);
  const filter = { lane: 'l', tag: { 'a.b': 'c' } };
  const capabilities = ['gpu'];
  const [dead, bills, flows] = [{ lane: 'none' }, { days: 1 }, { flow: 'f' }];
  const lists = [a.runs(filter), a.workers({ capabilities }), a.deadLetters.list(dead), a.bills(bills), a.flows(flows)];
  // Each of these would be refused, or match nothing.
  filter.lane = '';
  filter.tag['a.b'] = 'other';
  capabilities[0] = 'other';
  dead.lane = '';
  bills.days = -1;
  flows.flow = 'other';
  const counts: number[] = [];
  for (const list of lists) {
    let count = 0;
    for await (const _ of list as AsyncIterable<unknown>) count++;
    counts.push(count);
  }
  expect(counts).toEqual([1, 1, 0, 0, 1]);
  await worker.drain();
});
