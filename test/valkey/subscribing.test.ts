/** Subscribing is a transaction: a listener is there wholly, from the confirmation on, or not at all. */
import { randomUUID } from 'node:crypto';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Valkey } from 'iovalkey';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { app } from '../../src/index.js';
import { startTimerLoop } from '../../src/engine/index.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { freePort, startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
/** A message about work: partition, priority, needs and kind. */
const WORK = `${PARTITION}\t0\t\tk`;
const CALL_TIMEOUT_MS = 500;

let server: ValkeyServer;
let admin: Valkey;
const open: Backend[] = [];

async function opened(options: ValkeyOptions = {}): Promise<Backend> {
  const backend = await valkey({
    url: server.url,
    partitions: { count: 1 },
    callTimeoutMs: CALL_TIMEOUT_MS,
    ...options,
  });
  open.push(backend);
  return backend;
}

beforeAll(async () => {
  server = await startValkey();
  admin = new Valkey(server.url);
});
afterEach(async () => {
  await server.kill('SIGCONT');
  await Promise.all(open.splice(0).map((backend) => backend.close()));
  await admin.flushall();
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

const create = (backend: Backend, laneId = 'lane', more: object = {}): Promise<unknown> =>
  backend.createExecution({
    executionId: `${PARTITION}:${randomUUID()}`,
    namespace: 'n',
    laneId,
    executionKind: 'k',
    creatorIdentity: 'c',
    ...more,
  });

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    expect(performance.now(), what).toBeLessThan(deadline);
    await sleep(10);
  }
}

const channels = async (): Promise<string[]> => ((await admin.pubsub('CHANNELS')) as string[]).sort();
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'resolved',
    (error: { code?: string }) => String(error.code),
  );

test('a subscription that times out leaves no listener behind', async () => {
  const backend = await opened();
  let heard = 0;
  await server.kill('SIGSTOP');
  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(await codeOf(backend.onWake(['lane'], () => heard++)));
  expect(answers).toEqual(['call_timeout', 'call_timeout', 'call_timeout']);
  await server.kill('SIGCONT');
  // A later listener is heard, those of the failed calls are not.
  let wakes = 0;
  await backend.onWake(['lane'], () => wakes++);
  await admin.publish('ff:wake:lane', WORK);
  await until(() => wakes > 0, 'the wake');
  expect(heard).toBe(0);
});

test('a second subscription to a lane resolves only when the first is confirmed', async () => {
  const backend = await opened();
  await backend.onWake(['other'], () => undefined);
  await server.kill('SIGSTOP');
  const both = Promise.all([
    codeOf(backend.onWake(['lane'], () => undefined)),
    codeOf(backend.onWake(['lane'], () => undefined)),
  ]);
  expect(await both).toEqual(['call_timeout', 'call_timeout']);
  const late = backend.onWake(['lane'], () => undefined);
  await server.kill('SIGCONT');
  await late;
  expect(await channels()).toContain('ff:wake:lane');
});

test('callers that subscribe to one lane share one confirmation', async () => {
  const backend = await opened();
  await backend.onWake(['other'], () => undefined);
  await admin.config('RESETSTAT');
  const stops = await Promise.all(Array.from({ length: 20 }, () => backend.onWake(['lane'], () => undefined)));
  const calls = /cmdstat_subscribe:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1];
  expect(calls).toBe('1');
  for (const stop of stops) stop();
  await until(async () => !(await channels()).includes('ff:wake:lane'), 'the lane is left');
  // What is left is left once, and can be subscribed anew.
  for (const stop of stops) stop();
  await backend.onWake(['lane'], () => undefined);
  expect(await channels()).toContain('ff:wake:lane');
});

test('every listener gets one resync after a new subscription, once it is confirmed', async () => {
  const backend = await opened();
  const heard: Wake[][] = [[], []];
  await backend.onWake(['a', 'b'], (wake) => heard[0]?.push(wake));
  await backend.onWake(['b'], (wake) => heard[1]?.push(wake));
  expect(heard).toEqual([[], []]);
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  const isTold = () => heard.every((wakes) => wakes.length > 0);
  await until(isTold, 'the resync');
  expect(heard).toEqual([[{ kind: 'resync' }], [{ kind: 'resync' }]]);
  expect(await channels()).toEqual(['ff:timers', 'ff:wake:a', 'ff:wake:b']);
});

test('channels that were refused to a new connection are subscribed to once the right is back', async () => {
  const user = (...rules: string[]) => admin.call('ACL', 'SETUSER', 'deaf', ...rules);
  await user('on', '>secret', '~*', '+@all', '&*');
  vi.useFakeTimers({ toFake: ['setInterval'] });
  try {
    const backend = await opened({ url: server.url.replace('//', '//deaf:secret@') });
    const heard: string[] = [];
    await backend.onWake(['lane'], ({ kind }) => heard.push(kind));
    // The server ends the connection of one who may no longer listen.
    await user('resetchannels');
    await until(() => heard.includes('resync'), 'the resync after the new connection');
    expect(await channels()).toEqual([]);
    await user('&*');
    vi.advanceTimersByTime(10_000);
    await until(() => heard.length > 1, 'the resync after the new subscription');
    await admin.publish('ff:wake:lane', WORK);
    await until(() => heard.includes('work'), 'the wake');
    // From then on nothing is subscribed to again.
    vi.advanceTimersByTime(10_000);
    await backend.ping();
    expect(heard).toEqual(['resync', 'resync', 'work']);
  } finally {
    vi.useRealTimers();
    await admin.call('ACL', 'DELUSER', 'deaf');
  }
});

test('a listener that throws at a resync does not affect the others', async () => {
  const backend = await opened();
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  try {
    let told = 0;
    await backend.onWake(['a'], () => {
      throw new Error('mine');
    });
    await backend.onWake(['a'], () => told++);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(() => told > 0 && warnings.length > 0, 'both');
    expect(warnings).toEqual(['A listener of wakes failed: mine']);
  } finally {
    process.off('warning', note);
  }
});

/** A way to the server that can be closed: what connects meanwhile waits. */
async function gate(): Promise<{ url: string; close(): void; open(): void; stop(): Promise<void> }> {
  const port = await freePort();
  const pairs = new Set<[Socket, Socket]>();
  let waiting: (() => void)[] = [];
  let isOpen = true;
  const listener: Server = createServer((client) => {
    client.on('error', () => undefined);
    const pass = (): void => {
      const upstream = connect(server.port, server.host);
      const pair: [Socket, Socket] = [client, upstream];
      pairs.add(pair);
      upstream.on('error', () => undefined);
      client.pipe(upstream).pipe(client);
      for (const end of pair) end.on('close', () => pair.forEach((each) => each.destroy()));
    };
    if (isOpen) pass();
    else waiting.push(pass);
  });
  await new Promise<void>((resolve) => listener.listen(port, '127.0.0.1', resolve));
  return {
    url: `valkey://127.0.0.1:${port}`,
    close() {
      isOpen = false;
    },
    open() {
      isOpen = true;
      for (const pass of waiting.splice(0)) pass();
      waiting = [];
    },
    stop: async () => {
      for (const pair of pairs) for (const end of pair) end.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}

test('work and timers that were created while the connection for wakes was down are found at once when it is back', async () => {
  const way = await gate();
  const creator = await opened();
  const backend = await opened({ url: way.url, callTimeoutMs: 5_000 });
  await using loop = await startTimerLoop(backend, { pollIntervalMs: 60_000 });
  const heard: string[] = [];
  await backend.onWake(['lane'], ({ kind }) => heard.push(kind));
  await sleep(200);
  const before = loop.applied;
  way.close();
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await create(creator);
  await create(creator, 'late', { delayUntil: Date.now() + 1_000 });
  await sleep(400);
  expect(heard).toEqual([]);
  way.open();
  await until(() => heard.includes('resync'), 'the resync');
  await until(() => loop.applied > before, 'the timer');
  await backend.close();
  await way.stop();
});

test('a worker finds work at once that was created while its connection for wakes was down', async () => {
  const way = await gate();
  const elsewhere = await opened();
  const creator = app({ backend: elsewhere, closeBackend: false });
  const worker = app({ backend: await opened({ url: way.url, callTimeoutMs: 5_000 }), closeBackend: false });
  const define = (on: typeof creator) => on.task('echo', ({ input }: { input: string }) => input);
  const echo = define(creator);
  define(worker);
  await worker.worker({ sweepInterval: '60s', engine: false });
  expect(await echo.run('before').result({ timeout: '20s' })).toBe('before');
  way.close();
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  await sleep(50);
  const run = await echo.run('meanwhile');
  await sleep(300);
  expect((await elsewhere.describeExecution({ executionId: run.id }))?.publicState).toBe('waiting');
  way.open();
  expect(await run.result({ timeout: '20s' })).toBe('meanwhile');
  await worker.close();
  await creator.close();
  await way.stop();
});

const STRANGE: readonly (readonly [channel: string, message: string])[] = [
  ...['x', 'NaN', '-Infinity', '1e999', '1e3', '0x10', '-5', '', '99999999999999999999', '5\t6'].map(
    (at) => ['ff:timers', `${PARTITION}\t${at}`] as const,
  ),
  ...[PARTITION, `${PARTITION} x`, '{fp:1}\t5', '{fp:00}\t5', ''].map((message) => ['ff:timers', message] as const),
  ...['', 'garbage', PARTITION, '\u0000\uffff{}'].map((message) => ['ff:wake:lane', message] as const),
  ...['{fp:1}', '{fp:63}', '{fp:-1}', '{fp:00}'].map(
    (partition) => ['ff:wake:lane', WORK.replace(PARTITION, partition)] as const,
  ),
  ...['a b', 'a,,b', 'x'.repeat(20_000)].map((needs) => ['ff:wake:lane', `${PARTITION}\t0\t${needs}\tk`] as const),
  ...[`${PARTITION}\tx\t\tk`, `${PARTITION}\t0\t\t`, `${PARTITION}\t0\t\tk\tmore`].map(
    (message) => ['ff:wake:lane', message] as const,
  ),
];

test('foreign messages are dropped, and end no loop', async () => {
  const backend = await opened();
  const errors: unknown[] = [];
  const heard: Wake[] = [];
  await using loop = await startTimerLoop(backend, { pollIntervalMs: 60_000, onError: (error) => errors.push(error) });
  await backend.onWake(['lane'], (wake) => heard.push(wake));
  await sleep(200);
  const createdAt = Date.now();
  for (const [channel, message] of STRANGE) await admin.publish(channel, message);
  await create(backend, 'late', { delayUntil: Date.now() + 1_000 });
  await until(() => loop.applied > 0, 'the delay ends although strangers spoke');
  expect(errors).toEqual([]);
  expect(heard.filter(({ kind }) => kind === 'work')).toEqual([]);
  expect(heard.filter((wake) => wake.kind === 'timer' && wake.at < createdAt)).toEqual([]);
});

test('a deployment of the same prefix in another database causes no errors', async () => {
  const small = await opened();
  const big = await opened({ url: `${server.url}/1`, partitions: { count: 64 } });
  const partitions = new Set<string>();
  await small.onWake(['lane'], (wake) => wake.kind !== 'resync' && partitions.add(wake.partition));
  for (let index = 0; index < 64; index++)
    await big.createExecution({
      executionId: `{fp:${index}}:${randomUUID()}`,
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
    });
  await until(() => partitions.size > 0, 'a wake');
  await sleep(100);
  expect([...partitions]).toEqual([PARTITION]);
});
