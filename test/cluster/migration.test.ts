/**
 * A slot moves to and fro while its partition is at work. Every call must succeed, be refused by the machine, or fail
 * with an error that says that it can be repeated; and afterwards log, state and answers must explain each other.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOf } from '../../fuzz/chaos/recording.js';
import { audit } from '../../fuzz/chaos/audit.js';
import { EngineError } from '../../model/errors.js';
import { crc16, executionIdOf } from '../../model/ids.js';
import { app, type TaskContext } from '../../src/index.js';
import { addressOf } from '../../src/valkey/connection/address.js';
import { connectCluster, established } from '../../src/valkey/connection/clients.js';
import { canonicalOfValkey } from '../../src/testing/canonical/valkey/index.js';
import { valkey } from '../../src/valkey/index.js';
import { watchLateness } from '../support/lateness.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { pause, slotOf, until } from './support.js';
import { startWriters } from './writers.js';

const PREFIX = 'moving:';
const PARTITION = 0;
/** One whose slot holds few keys. */
const QUIET_PARTITION = 1;
const RETENTION_MS = 86_400_000;
/** A move is slowed down for so long. */
const SLOW_FOR_MS = 500;
/** Entries of the writers, two for each call. */
const ENOUGH_ENTRIES = 1_500;

let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3 });
});
afterAll(() => cluster?.stop());

describe('a slot that moves under load', () => {
  it('loses no transition, repeats none, and leaves none half done', async () => {
    const { url } = cluster.nodes[0] as { url: string };
    await using backend = await valkey({
      url,
      prefix: PREFIX,
      partitions: { count: 1 },
      retentionMs: RETENTION_MS,
      logMaxEntries: 1_000_000,
    });
    const slot = slotOf(PARTITION);
    let owner = cluster.initialOwner(slot);
    const home = owner;
    const writers = startWriters(backend, PARTITION, 6);
    let moves = 0;
    let moved = 0;
    try {
      const endAt = performance.now() + 7_000;
      // A busy machine needs more time for as much load.
      const written = (): number => [...writers.records.values()].reduce((sum, { length }) => sum + length, 0);
      while (performance.now() < endAt || owner !== home || written() < ENOUGH_ENTRIES) {
        await pause(150);
        const to = owner === home ? (home + 1) % 3 : home;
        // A few keys at a time, so that calls meet the slot at every stage of its move.
        moved += await cluster.migrateSlot(slot, owner, to, { batchSize: 40, onBatch: () => pause(4) });
        owner = to;
        moves++;
      }
    } finally {
      await writers.stop();
    }

    const reader = connectCluster(addressOf({ url: url }), 5_000);
    await established(reader, 5_000);
    const calls = [...writers.records].flatMap(([name, entries]) => callsOf(name, entries));
    const result = await audit({
      backend,
      calls,
      retentionMs: RETENTION_MS,
      expectTerminal: false,
      stored: (partition, now) => canonicalOfValkey(reader, PREFIX, partition, now),
    });
    reader.disconnect();
    const refused = calls.flatMap(({ answers = [] }) => answers).filter(({ ok }) => !ok).length;
    console.log(
      `migration: ${moves} moves, ${moved} keys, ${calls.length} calls, ${writers.interrupted} interrupted, ${refused} refused, ${result.events.length} events`,
    );
    expect(writers.defects.map(String)).toEqual([]);
    expect(result.violations).toEqual([]);
    expect(moves).toBeGreaterThanOrEqual(2);
    expect(result.events.length).toBeGreaterThan(500);
  });

  it('only slows down callers of the app', async () => {
    const { url } = cluster.nodes[1] as { url: string };
    const partitions = { count: 2, quotas: 1, budgets: 1 };
    // Longer than the move of a slot takes on a busy machine: a call that is given up can cost its handler a second run.
    await using a = app({ backend: valkey({ url, prefix: 'app:', partitions, callTimeoutMs: 20_000 }) });
    const calls = new Map<string, number>();
    const quota = { per: () => 'all', concurrency: 3 };
    const budget = a.budget('tokens', { limits: { tokens: { hard: 1_000_000 } } });
    const task = a.task('work', { quota, budget }, async ({ input, executionId, step }: TaskContext<number>) => {
      calls.set(executionId, (calls.get(executionId) ?? 0) + 1);
      return step('double', () => 2 * input);
    });
    await a.worker({ slots: 5 });
    const ended = new Set<string>();
    await a.on('completed', ({ id }) => ended.add(id));
    let stopping = false;
    const results: Promise<number>[] = [];
    const ids: string[] = [];
    const expected: number[] = [];
    const working = (async () => {
      for (let n = 0; !stopping; n++) {
        const run = await task.run(n, n % 2 === 0 ? { id: `o${n}` } : {});
        ids.push(run.id);
        expected.push(2 * n);
        results.push(run.result({ timeout: '60s' }));
        await pause(10);
      }
    })();
    for (const tag of ['fp:0', 'q:0', 'b:0', 'w:default']) {
      const slot = crc16(Buffer.from(tag)) % 16_384;
      const home = cluster.initialOwner(slot);
      const away = (home + 1) % 3;
      for (const [from, to] of [
        [home, away],
        [away, home],
      ] as const) {
        const startedAt = performance.now();
        const before = ids.length;
        // Slow enough for calls to meet it; a run that is started waits for 10 s at most, also on a slow machine.
        const onBatch = () => pause(performance.now() - startedAt < SLOW_FOR_MS ? 20 : 0);
        await cluster.migrateSlot(slot, from, to, { batchSize: 5, onBatch });
        await until(() => ids.length > before);
      }
    }
    stopping = true;
    await working;
    expect(await Promise.all(results)).toEqual(expected);
    expect(ids.length).toBeGreaterThan(5);
    expect([...calls.values()].filter((count) => count > 1)).toEqual([]);
    await until(() => ids.every((id) => ended.has(id)));
  });

  it('makes calls wait, and fails them at their timeout without having run them', async () => {
    const { url } = cluster.nodes[0] as { url: string };
    const lateMs = watchLateness();
    const options = { url, prefix: 'slow:', partitions: { count: 2 } };
    await using backend = await valkey({ ...options, callTimeoutMs: 400 });
    await using patient = await valkey({ ...options, callTimeoutMs: 20_000 });
    const create = (executionId: string, on = backend) =>
      on.createExecution({ executionId, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' });
    const [first, given, waited] = Array.from({ length: 3 }, () => executionIdOf(QUIET_PARTITION, randomUUID())) as [
      string,
      string,
      string,
    ];
    await create(first);
    const slot = slotOf(QUIET_PARTITION);
    const home = cluster.initialOwner(slot);
    let waiting: Promise<unknown> | undefined;
    let refused: unknown;
    await cluster.migrateSlot(slot, home, (home + 1) % 3, {
      batchSize: 2,
      onBatch: async () => {
        if (refused === undefined) {
          const startedAt = performance.now();
          refused = await create(given).catch((error: unknown) => error);
          expect(performance.now() - startedAt).toBeLessThan(1_000 + lateMs());
          // Long enough for anything that was still on its way.
          await pause(300);
        }
        waiting ??= create(waited, patient);
      },
    });
    expect(refused).toBeInstanceOf(EngineError);
    expect((refused as EngineError).retryable).toBe(true);
    await waiting;
    const states = await Promise.all(
      [first, given, waited].map(
        async (executionId) => (await backend.describeExecution({ executionId }))?.publicState,
      ),
    );
    expect(states).toEqual(['waiting', undefined, 'waiting']);
  });
});
