/** What users see who print what they were given: what it is, and not what it is made of. */
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { app, memory } from '../../src/index.js';

it('apps, workers, runs and flows print as one line, and as short JSON', async () => {
  await using a = app({ backend: memory(), namespace: 'shop' });
  expect(inspect(a)).toBe("App { namespace: 'shop', connection: 'idle', tasks: [] }");
  const task = a.task('charge', ({ input }: { input: string }) => `${input} paid`);
  const flow = a.flow('night', (f, input: string) => f.run(task, input));
  const worker = await a.worker();
  const run = await task.run('4242 4242');
  const night = await flow.run('4242 4242');
  await Promise.all([run.result(), night.result()]);

  const of = { id: run.id, task: 'charge', deduplicated: false };
  expect(JSON.stringify({ run })).toBe(JSON.stringify({ run: of }));
  expect(inspect(run, { breakLength: Infinity })).toBe(`Run ${inspect(of, { breakLength: Infinity })}`);
  expect(inspect(night)).toContain(`FlowRun {`);
  expect(inspect(task.get({ id: 'o1' }))).toBe(`PendingRun { of: 'The run with id "o1"' }`);
  expect(inspect(flow.get('f1'))).toBe(`PendingFlowRun { of: 'f1' }`);
  expect(inspect(worker)).toContain(`state: 'running'`);
  expect(inspect(a)).toContain(`connection: 'connected'`);
  for (const given of [a, worker, run, night, task, a.budget('b'), a.lane('l'), a.deadLetters, a.quotas, a.signals])
    expect(inspect(given, { depth: 5 }).split('\n').length).toBeLessThan(30);
});
