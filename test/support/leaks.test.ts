/** The leak check sees what is left behind, each kind of it, and nothing when nothing is. */
import { randomUUID } from 'node:crypto';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { app, valkey } from '../../src/index.js';
import { leakCheck, type LeakCheckOptions } from './leaks.js';
import { startValkey, type ValkeyServer } from './valkey/index.js';

let server: ValkeyServer;
let admin: Valkey;
beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.port, server.host);
  await admin.ping();
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

const options = (more: LeakCheckOptions = {}): LeakCheckOptions => ({ admin, prefix: 'ff:', patienceMs: 200, ...more });

it('finds timers, listeners, channels, connections and expiring keys', async () => {
  const leaks = await leakCheck(options());
  const timer = setTimeout(() => undefined, 60_000);
  const listener = (): void => undefined;
  process.on('SIGUSR2', listener);
  const subscriber = new Valkey(server.port, server.host);
  await subscriber.subscribe('ff:work:mail');
  await admin.set('ff:staged', 'x', 'EX', 60);
  const left = await leaks.left();
  for (const what of [
    'timer set at',
    'listener of process "SIGUSR2"',
    'channel ff:work:mail',
    'connection',
    'expiring key ff:staged',
  ])
    expect(left.join('\n')).toContain(what);
  clearTimeout(timer);
  process.off('SIGUSR2', listener);
  subscriber.disconnect();
  await admin.del('ff:staged');
  // The server may take its time to hear of it.
  await expect.poll(() => leaks.left()).toEqual([]);
});

it('finds nothing after an app that worked, waited for results and was closed', async () => {
  const prefix = `leaks-${randomUUID()}:`;
  const leaks = await leakCheck(options({ prefix, patienceMs: 2_000 }));
  const a = app({ backend: valkey({ url: server.url, prefix, partitions: { count: 2 } }) });
  const task = a.task(
    't',
    async ({
      input,
      signal,
      progress,
    }: {
      input: number;
      signal: AbortSignal;
      progress: (percent: number) => Promise<void>;
    }) => {
      signal.throwIfAborted();
      await progress(50);
      return input;
    },
  );
  await a.worker({ slots: 3, claimAhead: 2 });
  const runs = await task.runMany([1, 2, 3, 4, 5]);
  expect(await Promise.all(runs.map((run) => run.result({ timeout: '30s' })))).toEqual([1, 2, 3, 4, 5]);
  await a.close();
  expect(await leaks.left()).toEqual([]);
});
