/** What a process meets when its server is away, deaf, demoted, or came back as another: calls end in time, work goes on. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { Valkey } from 'iovalkey';
import { Proxy } from '../../fuzz/chaos/proxy.js';
import { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import { app } from '../../src/index.js';
import type { Backend, Wake } from '../../src/backend/backend.js';
import { valkey, type ValkeyOptions } from '../../src/valkey/index.js';
import { watchLateness } from '../support/lateness.js';
import { startValkey, type StartValkeyOptions, type ValkeyServer } from '../support/valkey/index.js';

const CALL_TIMEOUT_MS = 400;
/** How late a call may fail after its time, ms; on a busy machine later. */
const MARGIN_MS = 400;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(options: StartValkeyOptions = {}): Promise<ValkeyServer> {
  const started = await startValkey(options);
  cleanups.push(() => started.stop());
  return started;
}

async function engine(url: string, options: ValkeyOptions = {}): Promise<Backend> {
  const backend = await valkey({ url, partitions: { count: 1 }, callTimeoutMs: CALL_TIMEOUT_MS, ...options });
  cleanups.push(() => backend.close());
  return backend;
}

async function control({ host, port }: ValkeyServer): Promise<Valkey> {
  const client = new Valkey({ host, port, lazyConnect: true });
  client.on('error', () => undefined);
  cleanups.push(() => client.disconnect());
  await client.connect();
  return client;
}

async function proxied(target: number): Promise<Proxy> {
  const proxy = await Proxy.open(target);
  cleanups.push(() => proxy.close());
  return proxy;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > timeoutMs)
      throw new Error(`Still not so after ${timeoutMs} ms: ${condition.toString()}`);
    await pause(20);
  }
}

const offsetOf = (name: string, info: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);

const newId = (): string => executionIdOf(0, randomUUID());
const create = (backend: Backend, executionId = newId()): Promise<{ kind: string }> =>
  backend.createExecution({ executionId, namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' });

/** The error that a call ends with, how long that took, and how much longer than its time it may take, ms. */
async function failure(call: Promise<unknown>): Promise<{ error: EngineError; tookMs: number; marginMs: number }> {
  const lateMs = watchLateness();
  const startedAt = performance.now();
  const error = await call.then(
    () => new Error('the call succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof EngineError)) throw error;
  return { error, tookMs: performance.now() - startedAt, marginMs: MARGIN_MS + lateMs() };
}

/** Repeats the call until it is made, as whoever got a retryable error should. */
async function persistently<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      await pause(20);
    }
  }
}

describe('a server that does not answer', () => {
  it('costs a call its timeout and no more; afterwards calls work again', async () => {
    const frozen = await server();
    const backend = await engine(frozen.url);
    await frozen.kill('SIGSTOP');
    const calls = await Promise.all([
      failure(create(backend)),
      failure(backend.listLanes()),
      failure(backend.serverTime()),
      failure(backend.ping()),
    ]);
    for (const { error, tookMs, marginMs } of calls) {
      expect(error.code).toBe('call_timeout');
      expect(tookMs).toBeGreaterThan(CALL_TIMEOUT_MS - 20);
      expect(tookMs).toBeLessThan(CALL_TIMEOUT_MS + marginMs);
    }
    // Also while there is no connection any more.
    const { error, tookMs, marginMs } = await failure(create(backend));
    expect(error.retryable).toBe(true);
    expect(tookMs).toBeLessThan(CALL_TIMEOUT_MS + marginMs);
    await frozen.kill('SIGCONT');
    expect((await persistently(() => create(backend))).kind).toBe('created');
  });

  it('is reconnected to when only the connection is dead', async () => {
    const { port } = await server();
    const proxy = await proxied(port);
    const backend = await engine(proxy.url);
    const wakes: Wake[] = [];
    await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wakes.push(wake)));
    proxy.hold();
    expect((await failure(create(backend))).error.code).toBe('call_timeout');
    expect((await persistently(() => create(backend))).kind).toBe('created');
  });
});

describe('a blocked event loop', () => {
  it('costs no call its answer, however long the block', async () => {
    const { url } = await server();
    const backend = await engine(url);
    const wakes: Wake[] = [];
    await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wakes.push(wake)));
    for (let round = 0; round < 5; round++) {
      const calls = [create(backend), backend.ping(), backend.serverTime(), backend.listLanes()];
      // The calls are on their way when the loop stops, and have used up some of their time in some rounds.
      for (let turn = 0; turn < 1 + round; turn++) await new Promise((resolve) => setImmediate(resolve));
      const goesOnAt = performance.now() + 3 * CALL_TIMEOUT_MS;
      while (performance.now() < goesOnAt);
      await Promise.all(calls);
    }
    await until(() => wakes.filter(({ kind }) => kind === 'work').length >= 1);
  });

  it('does not hide a server that does not answer', async () => {
    const frozen = await server();
    const backend = await engine(frozen.url);
    await frozen.kill('SIGSTOP');
    const call = failure(create(backend));
    await pause(CALL_TIMEOUT_MS / 2);
    const goesOnAt = performance.now() + CALL_TIMEOUT_MS;
    while (performance.now() < goesOnAt);
    const { error, tookMs, marginMs } = await call;
    expect(error.code).toBe('call_timeout');
    expect(tookMs).toBeLessThan(2 * CALL_TIMEOUT_MS + marginMs);
    await frozen.kill('SIGCONT');
    expect((await persistently(() => create(backend))).kind).toBe('created');
  });
});

describe('a server that died', () => {
  it('ends calls in flight at once, and new calls wait for its return', async () => {
    const gone = await server({ appendonly: true });
    const backend = await engine(gone.url, { callTimeoutMs: 4_000 });
    await gone.kill('SIGSTOP');
    const underWay = failure(create(backend));
    await pause(50);
    await gone.kill('SIGKILL');
    const { error, tookMs, marginMs } = await underWay;
    expect(error.code).toBe('transport_failed');
    expect(tookMs).toBeLessThan(1_000 + marginMs);
    const waiting = create(backend);
    await gone.restart();
    expect((await waiting).kind).toBe('created');
  });

  it('never receives a call later that was given up', async () => {
    const gone = await server({ appendonly: true });
    const backend = await engine(gone.url);
    const executionId = newId();
    await gone.kill('SIGKILL');
    await expect
      .poll(async () => (await failure(create(backend, executionId))).error.message)
      .toContain('cannot be reached');
    await gone.restart();
    await persistently(() => backend.ping());
    await pause(200);
    expect(await backend.describeExecution({ executionId })).toBeUndefined();
  });

  it('wakes waiting workers again after its return', async () => {
    const gone = await server({ appendonly: true });
    const backend = await engine(gone.url);
    const wakes: Wake[] = [];
    await backend.onWake(['lane'], (wake) => void ('arriving' in wake || wakes.push(wake)));
    await gone.restart();
    const observer = await control(gone);
    await until(
      async () => Number(((await observer.call('PUBSUB', 'NUMSUB', 'ff:wake:lane')) as [string, number])[1]) === 1,
    );
    await persistently(() => create(backend));
    await until(() => wakes.some(({ kind }) => kind === 'work'));
  });

  it('ends no worker: work continues after its return', async () => {
    const gone = await server({ appendonly: true });
    const tasks = app({ backend: engine(gone.url) });
    const task = tasks.task('double', async ({ input }: { input: number }) => {
      await pause(20);
      return input * 2;
    });
    await tasks.worker({ slots: 2, leaseTtl: '1s', engine: { pollIntervalMs: 200 } });
    const runs = await task.runMany(Array.from({ length: 40 }, (_, index) => index));
    await pause(100);
    await gone.restart();
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results).toEqual(runs.map((_, index) => index * 2));
    await tasks.close();
  });
});

describe('a server that is demoted', () => {
  it('refuses writes until it is promoted: calls wait, and finally report it', async () => {
    const primary = await server();
    const demoted = await server();
    const backend = await engine(demoted.url);
    const admin = await control(demoted);
    await admin.call('REPLICAOF', primary.host, primary.port);
    await until(async () => /^master_link_status:up/m.test(await admin.info('replication')));
    const { error, tookMs, marginMs } = await failure(create(backend));
    expect(error.code).toBe('server_not_ready');
    expect(tookMs).toBeLessThan(CALL_TIMEOUT_MS + marginMs);
    const waiting = persistently(() => create(backend));
    await pause(100);
    await admin.call('REPLICAOF', 'NO', 'ONE');
    // The replica took over the primary's functions, which are none: the library is brought by the call.
    expect((await waiting).kind).toBe('created');
  });

  it('refuses many calls at once without a warning of the process', async () => {
    const demoted = await server();
    const backend = await engine(demoted.url, { partitions: { count: 32 } });
    const warnings: unknown[] = [];
    const warned = (warning: unknown): void => void warnings.push(warning);
    process.on('warning', warned);
    cleanups.push(() => process.off('warning', warned));
    await (await control(demoted)).call('REPLICAOF', '127.0.0.1', '1');
    const calls = Array.from({ length: 32 }, (_, index) =>
      failure(create(backend, executionIdOf(index, randomUUID()))),
    );
    for (const { error } of await Promise.all(calls)) expect(error.retryable).toBe(true);
    expect(warnings).toEqual([]);
  });

  it('is replaced by its replica at the same address, with the replicated data', async () => {
    const primary = await server();
    const replica = await server({ replicaOf: primary });
    const address = await proxied(primary.port);
    const backend = await engine(address.url, { callTimeoutMs: 3_000 });
    const admin = await control(replica);
    await until(async () => /^master_link_status:up/m.test(await admin.info('replication')));
    const executionId = newId();
    await create(backend, executionId);
    const claim = await backend.claimForWorker({
      partition: partitionKeyOf(0),
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'w',
      workerCapabilities: [],
      leaseTtlMs: 30_000,
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    });
    if (claim.kind !== 'claimed') throw new Error('nothing was claimed');
    // WAIT speaks for the writes of its own connection only: compare positions.
    const written = offsetOf('master_repl_offset', await (await control(primary)).info('replication'));
    await until(async () => offsetOf('slave_repl_offset', await admin.info('replication')) >= written);
    const fence = { ...(claim.executions[0] as (typeof claim.executions)[0]) };
    await primary.kill('SIGKILL');
    address.lead(replica.port);
    const completing = persistently(() => backend.completeExecution({ executionId, fence }));
    await pause(100);
    await admin.call('REPLICAOF', 'NO', 'ONE');
    expect((await completing).kind).toBe('completed');
  });
});

describe('a replica that lacks the last writes', () => {
  it('gives work out again under the same epoch, and refuses the unknown owner', async () => {
    const primary = await server();
    const link = await proxied(primary.port);
    const replica = await server({ replicaOf: { host: '127.0.0.1', port: link.port } });
    const address = await proxied(primary.port);
    const backend = await engine(address.url, { callTimeoutMs: 3_000 });
    const admin = await control(replica);
    await until(async () => /^master_link_status:up/m.test(await admin.info('replication')));
    const executionId = newId();
    await create(backend, executionId);
    const written = offsetOf('master_repl_offset', await (await control(primary)).info('replication'));
    await until(async () => offsetOf('slave_repl_offset', await admin.info('replication')) >= written);
    link.cut();
    const claimOne = async (worker: string) => {
      const outcome = await backend.claimForWorker({
        partition: partitionKeyOf(0),
        laneId: 'lane',
        workerId: worker,
        workerInstanceId: worker,
        workerCapabilities: [],
        leaseTtlMs: 30_000,
        claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
      });
      if (outcome.kind !== 'claimed') throw new Error('nothing was claimed');
      const { leaseId, leaseEpoch, attemptId } = outcome.executions[0] as (typeof outcome.executions)[0];
      return { leaseId, leaseEpoch, attemptId };
    };
    const lost = await claimOne('first');

    await primary.kill('SIGKILL');
    address.lead(replica.port);
    await admin.call('REPLICAOF', 'NO', 'ONE');

    // Nobody owns it now; whoever held it is told.
    expect((await failure(backend.renewLease({ executionId, fence: lost, leaseTtlMs: 30_000 }))).error.code).toBe(
      'execution_not_active',
    );
    const kept = await claimOne('second');
    expect(kept.leaseEpoch).toBe(lost.leaseEpoch);
    expect(kept.leaseId).not.toBe(lost.leaseId);
    expect((await failure(backend.completeExecution({ executionId, fence: lost }))).error.code).toBe('stale_lease');
    expect((await backend.completeExecution({ executionId, fence: kept })).kind).toBe('completed');
  });
});

describe('a server without the library', () => {
  it('gets it from the call that misses it, once for all calls', async () => {
    const emptied = await server();
    const backend = await engine(emptied.url);
    const admin = await control(emptied);
    await admin.call('FUNCTION', 'FLUSH');
    await admin.call('CONFIG', 'RESETSTAT');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => create(backend)));
    expect(outcomes.every(({ kind }) => kind === 'created')).toBe(true);
    expect(await admin.info('commandstats')).toMatch(/cmdstat_function\|load:calls=1,/);
  });

  it('stays without it when the process may only verify it', async () => {
    const emptied = await server();
    await (await engine(emptied.url)).ping();
    const backend = await engine(emptied.url, { library: 'verify' });
    await (await control(emptied)).call('FUNCTION', 'FLUSH');
    expect((await failure(create(backend))).error.code).toBe('library_mismatch');
  });
});
