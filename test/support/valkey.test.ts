import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Cluster, Redis } from 'iovalkey';
import { afterEach, describe, expect, it } from 'vitest';
import { sharedValkey, startCluster, startValkey } from './valkey/index.js';
import { watchdogScript } from './valkey/watchdog.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const connect = (url: string): Redis => {
  const client = new Redis(url, { lazyConnect: true });
  client.on('error', () => undefined);
  cleanups.push(() => client.disconnect());
  return client;
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const untilDead = async (pid: number): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (isAlive(pid) && Date.now() < deadline) await sleep(20);
  expect(isAlive(pid)).toBe(false);
};

describe('startValkey', () => {
  it('starts a server that answers, and stops it with its folder', async () => {
    const server = await startValkey();
    cleanups.push(() => server.stop());
    expect(await connect(server.url).ping()).toBe('PONG');
    expect(existsSync(server.dir)).toBe(true);

    await server.stop();

    await untilDead(server.pid);
    expect(existsSync(server.dir)).toBe(false);
  });

  it('keeps nothing on disk unless asked to, and refuses writes when memory is full', async () => {
    const server = await startValkey();
    cleanups.push(() => server.stop());
    const client = connect(server.url);
    expect(await client.config('GET', 'save')).toEqual(['save', '']);
    expect(await client.config('GET', 'appendonly')).toEqual(['appendonly', 'no']);
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  });

  it('finds its data again after a kill if it is append-only', async () => {
    const server = await startValkey({ appendonly: true, args: ['--appendfsync', 'always'] });
    cleanups.push(() => server.stop());
    await connect(server.url).set('key', 'value');
    const before = server.pid;

    await server.kill('SIGKILL');
    await server.restart();

    expect(server.pid).not.toBe(before);
    expect(await connect(server.url).get('key')).toBe('value');
  });

  it('loses its data by a restart otherwise', async () => {
    const server = await startValkey();
    cleanups.push(() => server.stop());
    await connect(server.url).set('key', 'value');

    await server.restart();

    expect(await connect(server.url).get('key')).toBeNull();
  });

  it('replicates from another server', async () => {
    const primary = await startValkey();
    cleanups.push(() => primary.stop());
    const replica = await startValkey({ replicaOf: primary });
    cleanups.push(() => replica.stop());
    const reader = connect(replica.url);
    while (!/master_link_status:up/.test(await reader.info('replication'))) await sleep(50);

    const writer = connect(primary.url);
    await writer.set('key', 'value');
    await writer.wait(1, 5_000);

    expect(await reader.get('key')).toBe('value');
  });

  it('names the port and shows the log if the server cannot start', async () => {
    const server = await startValkey();
    cleanups.push(() => server.stop());
    await expect(startValkey({ port: server.port })).rejects.toThrow(`port ${server.port}`);
    await expect(startValkey({ port: server.port })).rejects.toThrow(/in use/);
  });

  it('does not leave a server behind when the thread that started it is ended', async () => {
    const server = await startValkey();
    cleanups.push(() => server.stop());
    // A second watchdog on the same server, owned by a thread that is ended at once.
    const worker = new Worker(
      `const { spawn } = require('node:child_process');
       const { workerData, parentPort } = require('node:worker_threads');
       spawn('sh', ['-c', workerData.script, 'sh', '', 'kill', '-9', String(workerData.pid)],
         { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
       parentPort.postMessage('ready');
       setInterval(() => {}, 1000);`,
      { eval: true, workerData: { pid: server.pid, script: watchdogScript } },
    );
    await new Promise((resolve) => worker.once('message', resolve));
    expect(isAlive(server.pid)).toBe(true);

    await worker.terminate();

    await untilDead(server.pid);
  });
});

describe('sharedValkey', () => {
  it('gives every caller the same server, which outlives their stop', async () => {
    const first = await sharedValkey();
    const second = await sharedValkey();
    expect(second.url).toBe(first.url);
    await first.stop();
    const client = connect(second.url);
    expect(await client.ping()).toBe('PONG');
  });
});

describe('startCluster', () => {
  it('forms three primaries that own all slots, and moves a slot with its keys', async () => {
    const cluster = await startCluster({ nodes: 3 });
    cleanups.push(() => cluster.stop());
    const client = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })));
    cleanups.push(() => client.disconnect());
    const keys = Array.from({ length: 25 }, (_, index) => `{tag}:${index}`);
    for (const key of keys) await client.set(key, key);
    const slot = Number(await client.cluster('KEYSLOT', '{tag}'));
    const from = cluster.initialOwner(slot);
    const to = (from + 1) % 3;
    const progress: number[] = [];

    const moved = await cluster.migrateSlot(slot, from, to, { onBatch: (count) => void progress.push(count) });

    expect(moved).toBe(25);
    expect(progress).toEqual([0, 10, 20, 25]);
    const target = connect((cluster.nodes[to] as { url: string }).url);
    expect(await target.cluster('COUNTKEYSINSLOT', slot)).toBe(25);
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
  });

  it('gives each primary its replicas', async () => {
    const cluster = await startCluster({ nodes: 3, replicas: 1 });
    cleanups.push(() => cluster.stop());
    expect(cluster.nodes).toHaveLength(6);
    const roles = await Promise.all(
      cluster.nodes.map(async ({ url }) => /^role:(\w+)/m.exec(await connect(url).info('replication'))?.[1]),
    );
    expect(roles).toEqual(['master', 'master', 'master', 'slave', 'slave', 'slave']);
  });

  it('refuses to move a slot that the source does not own', async () => {
    const cluster = await startCluster({ nodes: 3 });
    cleanups.push(() => cluster.stop());
    await expect(cluster.migrateSlot(0, 1, 2)).rejects.toThrow();
    await expect(cluster.migrateSlot(0, 0, 0)).rejects.toThrow('itself');
    await expect(cluster.migrateSlot(0, 0, 3)).rejects.toThrow('no primary 3');
  });
});
