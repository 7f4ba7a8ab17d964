/** What JSON would lose is refused with the path of the member, wherever a value of a user enters. */
import { afterEach, expect, it } from 'vitest';
import { child, type App, type TaskContext } from '../../src/index.js';
import { memoryApp, rejectionOf } from './support.js';

let a: App;
afterEach(() => a.close());

const LOST = { lines: [{ seen: new Set() }] } as never;
const MESSAGE = expect.stringContaining('its member lines[0].seen is a Set, which cannot be written as JSON.');

it('are refused from callers: inputs of runs, flows and members, outputs of flows, signals', async () => {
  a = memoryApp();
  const task = a.task('t', () => 1);
  const flowOf = (name: string, build: Parameters<App['flow']>[1]) => a.flow(name, build).run();
  const refusals = [
    rejectionOf(task.run(LOST)),
    rejectionOf(task.runMany([1, LOST] as never)),
    rejectionOf(a.flow('given', () => undefined).run(LOST)),
    rejectionOf(flowOf('member', (f) => f.run(task, LOST))),
    rejectionOf(flowOf('later', (f) => f.run(task, { ...(LOST as object), of: f.run(task, 1 as never) } as never))),
    rejectionOf(flowOf('output', (f) => ({ ...(LOST as object), of: f.run(task, 1 as never) }))),
    rejectionOf(task.run(1 as never).signal('go', LOST)),
  ];
  for (const refusal of await Promise.all(refusals))
    expect(refusal).toMatchObject({ message: MESSAGE, retryable: false });
});

it('are refused from handlers: results, steps, inputs of children, frames of streams', async () => {
  a = memoryApp();
  const noted: unknown[] = [];
  const task = a.task('t', async ({ step, children, stream }: TaskContext<unknown>) => {
    noted.push(await rejectionOf(step('s', () => LOST)));
    noted.push(await rejectionOf(children.all([child(task, LOST)])));
    noted.push(await rejectionOf((async () => stream.json(LOST))()));
    noted.push(await rejectionOf((async () => stream.summary(LOST))()));
    return LOST;
  });
  await a.worker({ slots: 2 });
  const run = task.run(1);
  await expect(run.result()).rejects.toMatchObject({ category: 'invalid_result', reason: MESSAGE });
  expect(noted).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ message: MESSAGE })));
});
