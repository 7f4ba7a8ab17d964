/**
 * What a user's program looks like to the compiler and to Node: every entry point, with the strictest options. It is
 * compiled by each TypeScript in each module mode, bundled, and run.
 */
import {
  app,
  backoff,
  delay,
  EngineError,
  memory,
  NonRetryableError,
  type App,
  type Task,
  type Worker,
} from 'flowfabric';
import { leaseHistory, systemClock, WorkFinder, type Backend, type LoggedEvent } from 'flowfabric/engine';
import { compact, embedded, type EmbeddedOptions } from 'flowfabric/embedded';
import { memory as memoryBackend, type MemoryOptions } from 'flowfabric/memory';
import { canonicalByDefinition, seededUuids, testApp, testEngine, type TestApp } from 'flowfabric/testing';
import { valkey, type ValkeyOptions } from 'flowfabric/valkey';

const memoryOptions: MemoryOptions = {};
const valkeyOptions: ValkeyOptions = { url: 'valkey://127.0.0.1:6379', prefix: 'consumer:' };

/** Compiled: a store in a folder. */
export const inFiles = (options: EmbeddedOptions): Promise<Backend> => embedded({ fsync: 'always', ...options });

/** Compiled, and run only with a server. */
export const onServer = (): Promise<Backend> => valkey(valkeyOptions);

async function inMemory(): Promise<string> {
  const backend: Backend = memoryBackend(memoryOptions);
  const a: App = app({ backend });
  const greet = a.task(
    'greet',
    { retry: { failures: 2, backoff: backoff.fixed('1s') }, timeout: { attempt: '30s' } },
    ({ input, signal }: { input: { name: string }; signal: AbortSignal }): string => {
      if (input.name === '') throw new NonRetryableError('a name is needed');
      signal.throwIfAborted();
      return `Hello, ${input.name}!`;
    },
  );
  const typed: Task<{ name: string }, string> = greet;
  const worker: Worker = await a.worker({ slots: 2 });
  const greeting: string = await typed.run({ name: 'World' }, { id: 'o1', tags: { 'shop.region': 'eu' } }).result();
  const events: readonly LoggedEvent[] = [];
  if (events.length > 0 || worker === undefined) throw new Error('unexpected');
  await a.close();
  return greeting;
}

async function inVirtualTime(): Promise<string> {
  const t: TestApp = testApp();
  let tries = 0;
  const flaky = t.app.task('flaky', { retry: { failures: 3, backoff: backoff.fixed('1d') } }, () => {
    tries += 1;
    if (tries < 2) throw new Error('not yet');
    return tries < 3 ? delay('1h') : 'done';
  });
  await t.app.worker();
  const run = flaky.run(undefined);
  await t.advance('2d');
  const state = await run.state();
  await t.close();
  return `${tries} ${state}`;
}

export async function main(): Promise<void> {
  if ((await inMemory()) !== 'Hello, World!') throw new Error('the task did not run');
  const seen = await inVirtualTime();
  if (seen !== '3 completed') throw new Error(`virtual time: ${seen}`);
  for (const value of [
    leaseHistory,
    WorkFinder,
    canonicalByDefinition,
    seededUuids,
    testEngine,
    memory,
    embedded,
    compact,
    valkey,
  ])
    if (typeof value !== 'function') throw new Error('an entry point lacks an export');
  if (typeof systemClock !== 'object' || !(EngineError.prototype instanceof Error))
    throw new Error('an export is wrong');
  console.log('consumer: ok');
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
