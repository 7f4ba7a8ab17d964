/** `app.on('error')` reports each damaged record that a worker or the timer loop of the app has quarantined, once. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, expect, it } from 'vitest';
import { partitionOfExecution } from '../../model/ids.js';
import { app, memory, type App, type AppEvents, type Backend } from '../../src/index.js';
import { coreKey } from '../../src/valkey/keys.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { collectingLog, pause, until } from './support.js';

const apps: App[] = [];
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
});

async function listening(options: Parameters<typeof app>[0]): Promise<{ a: App; faults: AppEvents['error'][] }> {
  const a = app(options);
  apps.push(a);
  const faults: AppEvents['error'][] = [];
  await a.on('error', (fault) => faults.push(fault));
  return { a, faults };
}

const faultOf = (executionId: string): object => ({
  error: expect.objectContaining({ code: 'corruption', message: expect.stringContaining(executionId) as string }),
  partition: partitionOfExecution(executionId),
  name: `execution:${executionId}`,
  executionId,
});

it('on a server, of runs that a claim or the timer loop met, whatever the loop was told to report to', async () => {
  const { url } = await sharedValkey();
  const prefix = `aside-${randomUUID()}:`;
  const { a, faults } = await listening({ backend: valkey({ url, prefix, partitions: { count: 2 } }) });
  const task = a.task('t', ({ input }: { input: number }) => input);
  const runs = await task.runMany(Array.from({ length: 12 }, (_, index) => index));
  const delayed = await task.run(12, { delay: '1s' });
  const damaged = [runs[2], runs[3], runs[9], delayed].map((run) => run?.id as string);
  const admin = new Valkey(url);
  for (const id of damaged) await admin.del(coreKey(prefix, id));
  admin.disconnect();
  const ofLoop: string[] = [];
  for (let count = 0; count < 2; count++)
    await a.worker({ slots: 3, engine: { onError: (error) => ofLoop.push(String(error)) } });
  await Promise.all(runs.filter(({ id }) => !damaged.includes(id)).map((run) => run.result()));
  await until(() => faults.length >= damaged.length);
  await pause(100);
  expect(faults).toHaveLength(damaged.length);
  expect(faults).toEqual(expect.arrayContaining(damaged.map(faultOf)));
  expect(ofLoop).toEqual([expect.stringContaining(delayed.id)]);
  const listed: object[] = [];
  for await (const { partition, name } of a.deadLetters.quarantined()) listed.push({ partition, name });
  expect(listed).toHaveLength(damaged.length);
  expect(listed).toEqual(expect.arrayContaining(faults.map(({ partition, name }) => ({ partition, name }))));
});

it('of records that are of no run, and of each that one pass has met', async () => {
  const backend = memory({ partitions: { count: 1 } });
  const names = ['flow:f', 'budget:b'];
  const applyDue = async (args: Parameters<Backend['applyDue']>[0]) => {
    const outcome = await backend.applyDue(args);
    return outcome.kind === 'applied' && args.partition === '{fp:0}'
      ? { ...outcome, setAside: names.splice(0) }
      : outcome;
  };
  const damaged = new Proxy(backend, { get: (of, name) => (name === 'applyDue' ? applyDue : Reflect.get(of, name)) });
  const { log, lines } = collectingLog();
  const { a, faults } = await listening({ backend: damaged, log });
  const task = a.task('t', () => 1);
  await a.worker();
  await task.run().result();
  await until(() => faults.length >= 2);
  expect(faults.map(({ partition, name, executionId }) => [partition, name, executionId])).toEqual([
    ['{fp:0}', 'flow:f', undefined],
    ['{fp:0}', 'budget:b', undefined],
  ]);
  expect(faults.map(({ error }) => error.message)).toEqual([
    expect.stringMatching(/read: flow:f\.$/),
    expect.stringMatching(/read: budget:b\.$/),
  ]);
  expect(lines.filter((line) => line.includes('The timer loop had an error'))).toHaveLength(1);
});
