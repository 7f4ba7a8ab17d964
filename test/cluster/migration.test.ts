/**
 * A slot moves to and fro while its partition is at work. Every call must succeed, be refused by the machine, or fail
 * with an error that says that it can be repeated; and afterwards log, state and answers must explain each other.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOf } from '../../fuzz/chaos/recording.js';
import { audit } from '../../fuzz/chaos/audit.js';
import { connectCluster, established, parseAddress } from '../../src/valkey/connection.js';
import { canonicalOfValkey } from '../../src/testing/canonical-valkey.js';
import { valkey } from '../../src/valkey/index.js';
import { startCluster, type ValkeyCluster } from '../support/valkey/index.js';
import { pause, slotOf } from './support.js';
import { startWriters } from './writers.js';

const PREFIX = 'moving:';
const PARTITION = 0;
const RETENTION_MS = 86_400_000;

let cluster: ValkeyCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 3 });
});
afterAll(() => cluster?.stop());

describe('a slot that moves under load', () => {
  it('loses nothing, repeats nothing, and leaves no half-done transition behind', async () => {
    const { url } = cluster.nodes[0] as { url: string };
    await using backend = await valkey({ url, prefix: PREFIX, partitions: { count: 1 }, retentionMs: RETENTION_MS, logMaxEntries: 1_000_000 });
    const slot = slotOf(PARTITION);
    let owner = cluster.initialOwner(slot);
    const home = owner;
    const writers = startWriters(backend, PARTITION, 6);
    let moves = 0;
    let moved = 0;
    try {
      const endAt = performance.now() + 9_000;
      while (performance.now() < endAt || owner !== home) {
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

    const reader = connectCluster(parseAddress(url), 5_000);
    await established(reader, 5_000);
    const calls = [...writers.records].flatMap(([name, entries]) => callsOf(name, entries));
    const result = await audit({
      backend, calls, retentionMs: RETENTION_MS, expectTerminal: false, stored: (partition, now) => canonicalOfValkey(reader, PREFIX, partition, now),
    });
    reader.disconnect();
    const refused = calls.flatMap(({ answers = [] }) => answers).filter(({ ok }) => !ok).length;
    console.log(`migration: ${moves} moves, ${moved} keys, ${calls.length} calls, ${writers.interrupted} interrupted, ${refused} refused, ${result.events.length} events`);
    expect(writers.defects.map(String)).toEqual([]);
    expect(result.violations).toEqual([]);
    expect(moves).toBeGreaterThanOrEqual(2);
    expect(result.events.length).toBeGreaterThan(500);
  });
});
