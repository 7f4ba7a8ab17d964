/** Callers make an object of options once, and change it between their calls: a call has those of its moment. */
import { expect, it } from 'vitest';
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
