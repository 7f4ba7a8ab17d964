/** Tasks that are defined in one place, run from a web process, and handled in another. */
import { afterEach, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { app, memory, type App, type Backend, type Task, type TaskContext } from '../../src/index.js';
import { collectingLog, memoryApp, rejectionOf } from './support.js';

const apps: App[] = [];
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
});

/** What both processes import. */
function definitions(backend: Backend) {
  const a = app({ backend, closeBackend: false });
  apps.push(a);
  const charge = a.task('charge', {
    input: z.object({ cents: z.int() }),
    output: z.object({ receipt: z.string() }),
  });
  const refund = a.task<{ cents: number }, string>('refund');
  return { a, charge, refund };
}

it('a web process runs tasks whose handlers are elsewhere', async () => {
  const backend = memory();
  const web = definitions(backend);
  const back = definitions(backend);
  const handled = back.charge.handle(({ input }) => ({ receipt: `paid ${input.cents}` }));
  back.refund.handle(({ input }) => `back ${input.cents}`);
  expectTypeOf(handled).toEqualTypeOf<Task<{ cents: number }, { receipt: string }>>();
  await back.a.worker({ slots: 2 });
  expect(await web.charge.run({ cents: 5 }).result()).toEqual({ receipt: 'paid 5' });
  expect(await web.refund.run({ cents: 5 }).result()).toBe('back 5');
  expect(await rejectionOf(web.charge.run({ cents: 0.5 }))).toMatchObject({ code: 'invalid_task_input' });
  await back.a.close();
});

it('a worker refuses to start without the handler of a task, unless that task is left out', async () => {
  const { a, charge, refund } = definitions(memory());
  const missing = {
    code: 'invalid_definition',
    message: 'Task "charge", Task "refund": no handler in this process',
    hint: expect.stringContaining('task.handle(...)') as string,
  };
  expect(await rejectionOf(a.worker())).toMatchObject(missing);
  refund.handle(() => 'done');
  expect(await rejectionOf(a.worker())).toMatchObject({ message: 'Task "charge": no handler in this process' });
  expect(await rejectionOf(a.worker({ tasks: [charge] }))).toMatchObject({
    message: 'Task "charge": no handler in this process',
  });
  await a.worker({ tasks: [refund] });
  expect(await refund.run({ cents: 1 }).result()).toBe('done');
  await a.worker({ lanes: ['refund'] });
});

it('a task takes one handler', () => {
  const { a, charge } = definitions(memory());
  charge.handle(() => ({ receipt: '' }));
  expect(() => charge.handle(() => ({ receipt: '' }))).toThrow('Task "charge" has a handler already');
  const twice = [
    () => a.task('charge'),
    () => charge.handle(() => ({ receipt: '' })),
    () => a.flow('f', () => undefined) && a.flow('f', () => undefined),
  ];
  for (const again of twice)
    expect(again).toThrow(expect.objectContaining({ hint: expect.stringContaining('globalThis') as string }));
  expect(() => a.task('x').handle(5 as never)).toThrow('Task "x": its handler must be a function');
});

it('tasks that share a handler keep their own schemas, also in an app with a log', async () => {
  const a = memoryApp({ log: collectingLog().log });
  apps.push(a);
  const same = ({ input }: TaskContext<string>): string => input;
  const upper = a.task('upper', { output: z.string().transform((text) => text.toUpperCase()) }, same);
  const counted = a.task('counted', { output: z.string().transform((text) => text.length) }, same);
  await a.worker({ slots: 2 });
  expect(await upper.run('abc').result()).toBe('ABC');
  expect(await counted.run('abc').result()).toBe(3);
});

it('a running worker serves a task as soon as the task has a handler', async () => {
  const a = memoryApp();
  apps.push(a);
  a.task('first', () => 1);
  await a.worker();
  const later = a.task<undefined, number>('later');
  const run = await later.run();
  later.handle(() => 2);
  expect(await run.result({ timeout: '20s' })).toBe(2);
});

it('a worker with more tasks than one claim can name runs all of them', async () => {
  const a = memoryApp();
  apps.push(a);
  const tasks = Array.from({ length: 300 }, (_, index) => a.task(`task ${index}`, { lane: 'all' }, () => index));
  await a.worker({ slots: 4 });
  const runs = [0, 150, 299].map((index) => tasks[index]?.run());
  expect(await Promise.all(runs.map((run) => run?.result({ timeout: '20s' })))).toEqual([0, 150, 299]);
});
