/** What an app says of a server that is away after the first connection: the state, and one line of the log each way. */
import { Valkey } from 'iovalkey';
import { afterEach, expect, it } from 'vitest';
import { app, valkey, type App } from '../../src/index.js';
import { ConnectionNotice } from '../../src/backend/connection-notice.js';
import type { EngineError } from '../../model/errors.js';
import { startCluster, startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { collectingLog, pause, rejectionOf, until } from '../app/support.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(): Promise<ValkeyServer> {
  const started = await startValkey({ appendonly: true });
  cleanups.push(() => started.stop());
  return started;
}

const MACHINE = /event loop|clock/;

function loggingApp(url: string) {
  const { log, lines } = collectingLog();
  const backend = valkey({ url, partitions: { count: 1 }, callTimeoutMs: 1_500 });
  const it: App = app({ backend, log });
  cleanups.push(() => it.close({ timeout: 0 }));
  const task = it.task('t', () => 1);
  /** What is said aloud of the store; a busy machine has warnings of its own. */
  const said = (): string[] => lines.filter((line) => !line.startsWith('debug') && !MACHINE.test(line));
  return { app: it, task, lines, said };
}

const AWAY = 'warn The store is unreachable; calls and workers wait until it is back. EngineError';
const BACK = 'info The store is reachable again.';

it('an outage is a state of the connection, and is reported once at each end, with and without a worker', async () => {
  const { url, kill, restart } = await server();
  const web = loggingApp(url);
  const working = loggingApp(url);
  await working.app.worker();
  expect(await (await web.task.run()).result()).toBe(1);
  const waiting = (await web.task.run(undefined, { delay: '10s' })).result();
  expect(web.app.connection()).toMatchObject({ state: 'connected', failures: 0, error: undefined });
  await kill('SIGKILL');
  for (const each of [web, working]) {
    await until(() => each.app.connection().state === 'connecting');
    const { error } = each.app.connection();
    expect(error).toMatchObject({ code: 'transport_failed', cause: { code: 'ECONNREFUSED' } });
    expect((error as EngineError).message).toMatch(/cannot be reached\. .*ECONNREFUSED/);
  }
  // Longer than the worker, the timer loop and a wait for a result repeat a call in silence.
  expect(await rejectionOf(web.task.run())).toMatchObject({ code: 'transport_failed' });
  await until(() => working.lines.some((line) => line.startsWith('debug The timer loop had an error')));
  await until(() => working.lines.some((line) => line.startsWith('debug The worker had an error')));
  const { state, forMs } = web.app.connection();
  expect(state).toBe('connecting');
  expect(forMs).toBeGreaterThan(3_000);
  expect(web.said()).toEqual([AWAY]);
  expect(working.said()).toEqual([AWAY]);
  const restartedAt = performance.now();
  await restart();
  for (const each of [web, working]) await until(() => each.app.connection().state === 'connected');
  expect(web.app.connection()).toMatchObject({ failures: 0, error: undefined });
  expect(web.app.connection().forMs).toBeLessThan(performance.now() - restartedAt + 20);
  expect(await waiting).toBe(1);
  expect(web.said()).toEqual([AWAY, BACK]);
  expect(working.said()).toEqual([AWAY, BACK]);
});

it('an outage that needs an operator has the code and the reason of its calls', async () => {
  const { url } = await server();
  const admin = new Valkey(url);
  cleanups.push(() => admin.disconnect());
  await admin.config('SET', 'requirepass', 'old');
  const web = loggingApp(url.replace('//', '//:old@'));
  await web.task.run();
  await admin.config('SET', 'requirepass', 'new');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await until(() => web.app.connection().state === 'connecting');
  const { error } = web.app.connection();
  expect(error).toMatchObject({ code: 'server_refused', retryable: false });
  expect((error as EngineError).message).toContain('WRONGPASS');
  expect(await rejectionOf(web.task.run())).toMatchObject({ code: 'server_refused' });
  const AWAY_FOR_GOOD =
    'warn The store is unreachable; calls fail and workers wait until this is corrected. EngineError';
  expect(web.said()).toEqual([AWAY_FOR_GOOD]);
  await admin.config('SET', 'requirepass', 'old');
  await until(() => web.app.connection().state === 'connected');
  expect(web.said()).toEqual([AWAY_FOR_GOOD, BACK]);
});

it('a listener that is added during an outage is told; a connection that returns at once is no outage', async () => {
  const { url, kill, restart } = await server();
  const backend = await valkey({ url, partitions: { count: 1 } });
  cleanups.push(() => backend.close());
  const heard: EngineError[] = [];
  backend.onNotice?.((notice) => heard.push(notice));
  const admin = new Valkey(url);
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  admin.disconnect();
  await pause(1_500);
  await backend.ping();
  expect(heard).toEqual([]);
  await kill('SIGKILL');
  await until(() => heard.length > 0);
  const late: EngineError[] = [];
  backend.onNotice?.((notice) => late.push(notice));
  expect(late).toEqual(heard);
  expect(late[0]).toBeInstanceOf(ConnectionNotice);
  await restart();
  await until(() => heard.length > 1);
  expect(late.map((notice) => (notice as ConnectionNotice).isLost)).toEqual([true, false]);
});

it('the loss of one primary of a cluster, and of all, is an outage that ends without a call', async () => {
  const cluster = await startCluster({ nodes: 3 });
  cleanups.push(() => cluster.stop());
  const [first] = cluster.nodes;
  if (first === undefined) expect.fail('a cluster without nodes');
  const backend = await valkey({ url: first.url, partitions: { count: 8 } });
  cleanups.push(() => backend.close());
  const heard: ConnectionNotice[] = [];
  backend.onNotice?.((notice) => notice instanceof ConnectionNotice && heard.push(notice));
  for (const away of [[first], cluster.nodes]) {
    heard.length = 0;
    for (const node of away) await node.kill('SIGKILL');
    await until(() => heard.length > 0);
    if (away.length === 1) expect(heard[0]?.message).toContain(`:${first.port} cannot be reached.`);
    await pause(3_000);
    for (const node of away) await node.restart();
    await until(() => heard.length > 1);
    await pause(2_000);
    expect(heard.map(({ isLost }) => isLost)).toEqual([true, false]);
  }
});
