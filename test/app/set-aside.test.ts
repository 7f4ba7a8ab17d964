/** `app.on('error')` reports each damaged record that a call of the app has quarantined, once. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterEach, expect, it } from 'vitest';
import { partitionOfExecution } from '../../model/ids.js';
import { app, memory, type App, type AppEvents, type Backend, type RunRow } from '../../src/index.js';
import { coreKey } from '../../src/valkey/keys.js';
import { valkey } from '../../src/valkey/index.js';
import { sharedValkey } from '../support/valkey/index.js';
import { collectingLog, pause, until } from './support.js';

const apps: App[] = [];
const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const a of apps.splice(0)) await a.close();
  for (const clean of cleanups.splice(0)) clean();
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

it('runs set aside by a claim or by the timer loop on a server are reported, whatever listener the loop has', async () => {
  const { url } = await sharedValkey();
  const prefix = `aside-${randomUUID()}:`;
  const { a, faults } = await listening({ backend: valkey({ url, prefix, partitions: { count: 2 } }) });
  const task = a.task('t', ({ input }: { input: number }) => input);
  const runs = await task.runMany(Array.from({ length: 12 }, (_, index) => index));
  const delayed = await task.run(12, { delay: '2s' });
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

it('members of flows set aside by a completion or a cancellation are reported', async () => {
  const { url } = await sharedValkey();
  const prefix = `aside-${randomUUID()}:`;
  const { log, lines } = collectingLog();
  const { a, faults } = await listening({ backend: valkey({ url, prefix, partitions: { count: 1 } }), log });
  const first = a.task('first', () => 1);
  const second = a.task('second', ({ input }: { input: number }) => input);
  const flow = a.flow('f', (f, on: string) => f.run(second, f.run(first, on as never)));
  const admin = new Valkey(url);
  cleanups.push(() => admin.disconnect());
  /** A flow whose second member is damaged, which nothing has met yet. */
  const damaged = async (on: string) => {
    const run = await flow.run(on);
    const { value: newest } = await a.runs({ kind: 'second' })[Symbol.asyncIterator]().next();
    const { id } = newest as RunRow;
    await admin.set(coreKey(prefix, id), 'no hash');
    return { run, id };
  };
  const cancelled = await damaged('cancelled');
  await cancelled.run.cancel();
  await until(() => faults.length >= 1);
  const completed = await damaged('completed');
  await a.worker({ tasks: [first] });
  await until(() => faults.length >= 2);
  await pause(100);
  expect(faults).toEqual([cancelled, completed].map(({ id }) => faultOf(id)));
  expect(lines.filter((line) => line.includes('Damaged records were found'))).toHaveLength(2);
});

it('records that are not runs are reported, and so is each record of one pass', async () => {
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
