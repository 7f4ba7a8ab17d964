/** A chaos run on an embedded store from its start to its audit, which is that of the runs on servers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { present } from '../../../model/core/present.js';
import { DEFAULTS } from '../../../model/limits.js';
import { embedded, type EmbeddedOptions } from '../../../src/embedded/backend.js';
import { memoryStore } from '../../../src/memory/machine.js';
import { canonicalOfMemory } from '../../../src/testing/canonical/memory.js';
import { audit, type Audit } from '../audit.js';
import { seededRandom } from '../random.js';
import { endsOf, follow, type Reading } from '../reader.js';
import { Lives } from './lives.js';

export interface EmbeddedChaosOptions {
  /** Seed of the jobs and of the times at which the process is killed. */
  readonly seed: number;
  readonly executions: number;
  /** How long work is submitted and the process is killed, ms. */
  readonly durationMs: number;
  readonly fsync: NonNullable<EmbeddedOptions['fsync']>;
  /** Mean life of a process after it has opened the store, ms. */
  readonly lifeMs: number;
  readonly onFault?: (what: string) => void;
}

export interface EmbeddedChaosResult {
  readonly audit: Audit;
  /** Violations; empty when all is well. */
  readonly violations: readonly string[];
  readonly kills: number;
  readonly freezes: number;
  /** Entries that the durable reader received. */
  readonly read: number;
}

const LEASE_TTL_MS = 1_000;
const SLOTS = 8;
/** One in so many processes is frozen first, for longer than a lease. */
const FROZEN_ONE_IN = 4;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runEmbeddedChaos(options: EmbeddedChaosOptions): Promise<EmbeddedChaosResult> {
  const dir = await mkdtemp(join(tmpdir(), 'flowfabric-embedded-chaos-'));
  const store: EmbeddedOptions = {
    path: join(dir, 'store'),
    fsync: options.fsync,
    partitions: { count: 2 },
    // All entries, for the audit.
    logMaxEntries: 10_000_000,
    // Often, so that processes die while they write one.
    snapshotEveryBytes: 200_000,
  };
  const { seed, executions, durationMs } = options;
  const times = { startedAt: Date.now(), durationMs, leaseTtlMs: LEASE_TTL_MS, slots: SLOTS };
  const lives = new Lives({ store, seed, executions, ...times }, dir);
  try {
    const { kills, freezes } = await hit(lives, options);
    const { settled } = await lives.begin();
    const unended = await settled;
    await lives.end();
    return { ...(await judged(store, lives, unended)), kills: kills + 1, freezes };
  } finally {
    await lives.end();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Kills one process after another until the time is over. */
async function hit(
  lives: Lives,
  { seed, durationMs, lifeMs, onFault }: EmbeddedChaosOptions,
): Promise<{ kills: number; freezes: number }> {
  const random = seededRandom(seed);
  const endAt = performance.now() + durationMs;
  let [kills, freezes] = [0, 0];
  while (performance.now() < endAt) {
    await lives.begin();
    await pause(lifeMs * 2 * random());
    if (random() < 1 / FROZEN_ONE_IN) {
      freezes += 1;
      onFault?.('freeze');
      await lives.freeze(LEASE_TTL_MS * (1 + random()));
      await pause(lifeMs * random());
    }
    kills += 1;
    onFault?.('kill');
    await lives.kill();
  }
  return { kills, freezes };
}

/** Opens what the last process left, and audits it. What an answered call wrote survives the death of its process. */
async function judged(
  store: EmbeddedOptions,
  lives: Lives,
  unended: readonly string[],
): Promise<Pick<EmbeddedChaosResult, 'audit' | 'violations' | 'read'>> {
  const backend = await embedded(store);
  const rest: Reading[] = [];
  await follow(backend, (what) => rest.push(what), await endsOf(backend));
  const record = await lives.record();
  const readings = [...record.readings, rest];
  const result = await audit({
    backend,
    calls: record.calls,
    ran: record.ran,
    readings,
    // While no process has the store open, there is none to blame.
    waste: { pulses: record.pulses, outages: [], leaseTtlMs: LEASE_TTL_MS, slots: SLOTS },
    retentionMs: DEFAULTS.retentionMs,
    stored: (partition, now) => Promise.resolve(canonicalOfMemory(present(memoryStore(backend, partition)), now)),
  });
  await backend.close();
  return {
    audit: result,
    read: readings.flat().filter(({ entry }) => entry === 'seen').length,
    violations: [
      ...result.violations,
      ...lives.crashes,
      ...(unended.length > 0 ? [`${unended.length} jobs did not end:\n${unended.slice(0, 10).join('\n')}`] : []),
    ],
  };
}
