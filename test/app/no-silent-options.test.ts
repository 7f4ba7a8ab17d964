/** Options that would be ignored, or be noticed only when it is too late: they are refused where they are written. */
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { all, any, child, count, EngineError, memory, StepError, type App, type TaskContext } from '../../src/index.js';
import { simulate, testApp } from '../../src/testing/index.js';
import { addressOf } from '../../src/valkey/connection/address.js';
import { dataOf } from '../../src/worker/steps/failure.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App = memoryApp();
afterEach(() => a.close());

const messageOf = async (call: () => unknown): Promise<string> =>
  ((await rejectionOf((async () => call())())) as Error).message;

it('a handler hears at once of a schema that is none, and of options of a pipe that are none', async () => {
  a = memoryApp();
  await a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32) });
  const wrong = (value: unknown): never => value as never;
  const t = a.task('t', async ({ waitFor, waitpoint, stream }: TaskContext) => {
    const waiting = await waitpoint('later');
    const calls = [
      () => waitFor('go', { schema: wrong({ type: 'object' }) }),
      () => waitFor('go', { schema: wrong(null) }),
      () => waitFor('go', { name: wrong(null) }),
      () => waiting.wait({ schema: wrong('string') }),
      () => waiting.wait({ onTimeout: wrong('null') }),
      () => stream.writable(wrong({ kind: 'log' })),
      () => stream.writable({ bestEffort: { ttl: -1 } }),
      () => stream.writable(wrong(null)),
    ];
    const messages: string[] = [];
    for (const call of calls) messages.push(await messageOf(call));
    return messages;
  });
  await a.worker();
  const schema = 'must be a schema (zod, valibot, arktype or another Standard Schema), not';
  expect(await t.run(undefined).result({ timeout: '10s' })).toEqual([
    `waitFor: schema ${schema} an object`,
    `waitFor: schema ${schema} null`,
    expect.stringContaining('waitFor: the name must be a string'),
    `waitpoint.wait: schema ${schema} "string"`,
    'waitpoint.wait: onTimeout must be "error" or "value", not "null"',
    expect.stringContaining('there is no option "kind"'),
    expect.stringContaining('bestEffort.ttl must be at least 0 ms'),
    expect.stringContaining('the options must be an object, not null'),
  ]);
});

it('a refused wait is no use of its name: a signal goes to the next one', async () => {
  a = memoryApp();
  const t = a.task('t', async ({ waitFor }: TaskContext) => {
    await messageOf(() => waitFor('go', { onTimeout: 'null' as never }));
    return waitFor('go', { schema: z.number() });
  });
  await a.worker();
  const run = await t.run(undefined);
  await run.signal('go', 5);
  expect(await run.result({ timeout: '10s' })).toBe(5);
});

it('a pipe has the options of its call', async () => {
  a = memoryApp();
  const t = a.task('t', async ({ stream }: TaskContext) => {
    const options = { type: 'first' };
    const writer = stream.writable(options).getWriter();
    options.type = 'second';
    await writer.write('text');
    await writer.close();
  });
  await a.worker();
  const run = await t.run(undefined);
  await run.result({ timeout: '10s' });
  const types: string[] = [];
  for await (const frame of run.stream()) if ('type' in frame) types.push(frame.type);
  expect(types).toEqual(['first']);
});

it('amounts and limits that are a Map or a date are refused: they would be none', async () => {
  a = memoryApp();
  const budget = a.budget('b', { limits: { tokens: { hard: 100 } } });
  const map = new Map([['tokens', 5]]) as never;
  const t = a.task('t', async ({ budget: of }: TaskContext) => {
    await using held = await of(budget).reserve({ tokens: 5 });
    return [await messageOf(() => held.settle(map)), await messageOf(() => held.settle(new Date(0) as never))];
  });
  await a.worker();
  const rule = 'Budget "b", settle(): the amounts must be an object like { tokens: 5 }, not a';
  expect(await t.run(undefined).result({ timeout: '10s' })).toEqual([`${rule} Map`, `${rule} Date`]);
  const limit = new Map([['hard', 5]]) as never;
  expect(await messageOf(() => a.budget('c', { limits: { tokens: limit } }))).toBe(
    'app.budget("c"): limits.tokens must be an object like { hard: 5 }, not a Map',
  );
  expect(await messageOf(() => budget.setLimits({ tokens: limit }))).toBe(
    'setLimits: limits.tokens must be an object like { hard: 5 }, not a Map',
  );
  expect((await budget.status()).hardLimits).toEqual({ tokens: 100 });
  for (const partitions of [new Map([['count', 4]]), new Date(0)])
    expect(await messageOf(() => memory({ partitions: partitions as never }))).toContain(
      'partitions: must be an object',
    );
});

it('null is no number of slots, and no priority of a node, also where undefined is the default', async () => {
  a = memoryApp();
  const t = a.task('t', () => 1);
  for (const name of ['slots', 'claimAhead', 'onUnhandled'])
    expect(await messageOf(() => a.worker({ [name]: null }))).toContain(`Worker option ${name} must be`);
  const flow = a.flow('f', (f) => f.run(t, undefined, { priority: null as never }));
  expect(await messageOf(() => flow.run())).toContain('priority must be a whole number');
});

it('testApp refuses a logger that is none, and simulate a scenario that is none and a call that does not exist', async () => {
  a = memoryApp();
  expect(await messageOf(() => testApp({ log: true as never }))).toContain('testApp: log must be a logger');
  expect(await messageOf(() => simulate(a, undefined as never))).toContain('simulate: the scenario must be a function');
  for (const placed of ['crash_before@1.5', 'crash_before@1e3', 'crash_before@0', 'crash_before@1@2', 'crash_before'])
    expect(await messageOf(() => simulate(a, () => undefined, { schedule: [placed as never] }))).toContain(
      'simulate: schedule must be as it was printed',
    );
});

it('a node of a flow refuses null for its delay, also where the run of the flow has one', async () => {
  a = memoryApp();
  const t = a.task('t', () => 1);
  const flow = a.flow('f', (f) => f.run(t, undefined, { delay: null as never }));
  for (const options of [{}, { delay: '1h' }] as const)
    expect(await messageOf(() => flow.run(undefined, options))).toContain('delay must be a duration');
});

it('conditions written by hand are refused for an unknown member, and for having no end', () => {
  const wrong = (what: object) => () => all(what as never);
  expect(wrong({ type: 'count', n: 2, names: ['go'], distinctBy: 'source' })).toThrow(
    'there is no option "distinctBy"',
  );
  expect(wrong({ type: 'name', name: 'go', timeout: '1s' })).toThrow('there is no option "timeout"');
  expect(wrong({ type: 'any', of: ['go'], n: 2 })).toThrow('there is no option "n"');
  expect(wrong({ type: 'approval', n: 2, name: 'go', of: [] })).toThrow('there is no option "of"');
  const endless: { type: 'all'; of: unknown[] } = { type: 'all', of: ['go'] };
  endless.of.push(endless);
  expect(wrong(endless)).toThrow('a condition may have 100 levels at most');
  expect(all(any('a', all('b')), count(2, 'c')).type).toBe('all');
});

it('simulate refuses runs and faults beside a schedule, and testApp options without an app', async () => {
  a = memoryApp();
  const schedule = ['crash_before@1'] as const;
  for (const ignored of [{ runs: 5 }, { faults: ['crash'] }] as const)
    expect(await messageOf(() => simulate(a, () => undefined, { schedule, ...ignored }))).toMatch(
      /^simulate: give schedule or (runs|faults), not both/,
    );
  for (const first of [undefined, {}])
    expect(await messageOf(() => testApp(first as never, { seed: 2 }))).toContain('the first argument must be an app');
});

it('a function is no task, also if its name is that of one', async () => {
  a = memoryApp();
  const charge = (() => 1) as never;
  a.task('charge', () => 1);
  expect(() => child(charge)).toThrow('child(): task must be a task of the app');
  const flow = a.flow('f', (f) => f.run(charge));
  expect(await messageOf(() => flow.run())).toContain('What was given is not a task');
  expect(await messageOf(() => a.worker({ tasks: [charge] }))).toContain('tasks[0] must be a task');
  expect(await messageOf(() => a.quotas.of(charge))).toContain('What was given is not a task');
  expect(await messageOf(() => a.runs({ task: charge })[Symbol.asyncIterator]().next())).toContain(
    'task must be a task, or the name of one',
  );
});

it('a user without a name is refused', () => {
  for (const options of [{ username: '' }, { sentinels: ['s:1'], name: 'n', sentinelUsername: '' }])
    expect(() => addressOf(options)).toThrow(/: must not be empty/);
});

it('the hint of a failed step says what is left to do after the last attempt', () => {
  const cause = new EngineError('server_memory_full', 'full');
  const { hint } = new StepError('charge', dataOf(cause), { cause, isStored: false });
  expect(hint).toContain('While the task has retries left');
  expect(hint).toContain(`After the last one: ${cause.hint}`);
  expect(cause.hint).toContain('new work, signals and whatever else adds to the store');
});
