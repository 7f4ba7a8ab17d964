/** A chaos run from its start to its audit. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULTS } from '../../model/limits.js';
import { Valkey } from 'iovalkey';
import { canonicalOfValkey } from '../../src/testing/canonical/valkey/index.js';
import type { Backend } from '../../src/backend/backend.js';
import { valkey } from '../../src/valkey/index.js';
import { audit, type Audit } from './audit.js';
import { Fleet } from './fleet.js';
import { patiently } from './patiently.js';
import { endsOf, follow, type Reading } from './reader.js';
import { callsOf, recorded, type Entry } from './recording.js';
import { seededRandom } from './random.js';
import { Servers, type Fsync } from './servers.js';
import { Submitter } from './submitter.js';
import type { Span } from './timeline.js';
import { TRIMMED, TrimmedLogs, type TrimmedResult } from './trimmed.js';

export interface ChaosOptions {
  /**
   * Seed of the choices: the faults of each process with their times. The interleaving of processes differs in every
   * run.
   */
  readonly seed: number;
  readonly executions: number;
  /** How long work is submitted and faults happen, ms. */
  readonly durationMs: number;
  /** Worker processes. */
  readonly workers: number;
  readonly partitions: number;
  readonly fsync: Fsync;
  /** Number of kills of the server with a restart on its files. */
  readonly restarts: number;
  /** Number of power cuts, simulated by truncating the append-only file. */
  readonly powerCuts: number;
  /** Number of freezes of the server, longer than the timeout of a call. */
  readonly freezes: number;
  /** Whether a replica takes over once. */
  readonly failover: boolean;
  /** Mean time between two faults of processes, ms. */
  readonly faultEveryMs: number;
  /** Called at every fault. */
  readonly onFault?: (what: string) => void;
}

export interface ChaosResult {
  readonly audit: Audit;
  /** Violations; empty when all is well. */
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  /** Executions that were acknowledged, lost by the server, and created again. */
  readonly recreated: number;
  readonly tookMs: number;
  /** Entries that the durable reader received, and notices of losses by code. */
  readonly readings: Readings;
  /** The same for the trimmed logs, with the number of entries written to them. */
  readonly trimmed: TrimmedResult & { readonly readings: Readings };
}

interface Readings {
  readonly seen: number;
  readonly told: ReadonlyMap<string, number>;
}

const PREFIX = 'chaos:';
const CALL_TIMEOUT_MS = 1_000;
const LEASE_TTL_MS = 1_000;
const SLOTS = 8;
/** One worker is left alone: beside it no work may wait. */
const SPARED = 'worker-0';
/** Entries that a log keeps: all of them, for the audit. */
const WHOLE_LOG = 10_000_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const startedAt = performance.now();
  const dir = await mkdtemp(join(tmpdir(), 'flowfabric-chaos-'));
  const servers = await Servers.start(options.fsync, options.failover);
  const fleet = new Fleet(
    {
      url: servers.url,
      prefix: PREFIX,
      partitions: options.partitions,
      callTimeoutMs: CALL_TIMEOUT_MS,
      logMaxEntries: WHOLE_LOG,
      leaseTtlMs: LEASE_TTL_MS,
      slots: SLOTS,
      claimAhead: 4,
      operationsPerSecond: 10,
    },
    dir,
  );
  try {
    return await new Run(options, servers, fleet, startedAt).toItsEnd();
  } finally {
    await fleet.end();
    await servers.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

class Run {
  private readonly random: () => number;
  private readonly faults = new Map<string, number>();
  /** When servers died that may have lost a tail. */
  private readonly deaths: number[] = [];
  private readonly outages: Span[] = [];
  private over = false;

  constructor(
    private readonly options: ChaosOptions,
    private readonly servers: Servers,
    private readonly fleet: Fleet,
    private readonly startedAt: number,
  ) {
    this.random = seededRandom(options.seed);
  }

  private opened(prefix: string, count: number, logMaxEntries: number): Promise<Backend> {
    const { url } = this.servers;
    const options = { url, prefix, partitions: { count }, callTimeoutMs: CALL_TIMEOUT_MS, logMaxEntries };
    return patiently(() => valkey(options));
  }

  async toItsEnd(): Promise<ChaosResult> {
    const { options, servers, fleet } = this;
    const backend = await this.opened(PREFIX, options.partitions, WHOLE_LOG);
    const short = await this.opened(TRIMMED.prefix, TRIMMED.partitions, TRIMMED.logMaxEntries);
    const written: Entry[] = [];
    const submitter = new Submitter(
      recorded(backend, (entry) => written.push(entry)),
      options.executions,
      this.random,
    );
    await Promise.all([
      ...Array.from({ length: options.workers }, (_, index) => fleet.add('worker', `worker-${index}`)),
      fleet.add('engine', 'engine'),
      fleet.add('operator', 'operator'),
      fleet.add('reader', 'reader'),
      fleet.add('reader', 'trimmed', TRIMMED),
    ]);
    const trimmedLogs = new TrimmedLogs(short);

    const hitting = this.hitProcesses();
    await Promise.all([submitter.submit(options.durationMs), this.hitServers()]);
    this.over = true;
    await hitting;
    await trimmedLogs.end();
    const unended = await submitter.settled();
    await fleet.end();
    // Another reader of each group continues where the last one stopped.
    const [rest, restOfTrimmed]: [Reading[], Reading[]] = [[], []];
    const ends = await Promise.all([endsOf(backend), trimmedLogs.outrun()]);
    await Promise.all([
      follow(backend, (what) => rest.push(what), ends[0]),
      follow(short, (what) => restOfTrimmed.push(what), ends[1]),
    ]);

    const reader = new Valkey(servers.url, { lazyConnect: true, enableAutoPipelining: true });
    await reader.connect();
    const record = await fleet.record();
    const readings = [...record.readingsOf('reader'), rest];
    const readingsOfTrimmed = [...record.readingsOf('trimmed'), restOfTrimmed];
    const trimmed = await trimmedLogs.judge(readingsOfTrimmed);
    const calls = [...record.calls, ...callsOf('submitter', written)];
    const result = await audit({
      backend,
      calls,
      ran: record.ran,
      readings,
      waste: { pulses: record.pulses, outages: this.outages, leaseTtlMs: LEASE_TTL_MS, slots: SLOTS },
      deaths: this.deaths,
      retentionMs: DEFAULTS.retentionMs,
      stored: (partition, now) => canonicalOfValkey(reader, PREFIX, partition, now),
    });
    reader.disconnect();
    await Promise.all([backend.close(), short.close()]);
    const violations = [
      ...result.violations,
      ...trimmed.violations,
      ...fleet.crashes,
      ...(unended.length > 0 ? [`${unended.length} jobs did not end:\n${unended.slice(0, 10).join('\n')}`] : []),
    ];
    return {
      audit: result,
      violations,
      faults: this.faults,
      recreated: submitter.recreated,
      readings: countsOf(readings.flat()),
      trimmed: { ...trimmed, readings: countsOf(readingsOfTrimmed.flat()) },
      tookMs: performance.now() - this.startedAt,
    };
  }

  /** Disturbs the server, and keeps the time at which it cannot serve. */
  private async outage<Result>(deed: () => Promise<Result>): Promise<Result> {
    const from = Date.now();
    const result = await deed();
    this.outages.push({ from, until: Date.now() });
    return result;
  }

  private note(what: string, whom: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
    this.options.onFault?.(`${Math.round(performance.now() - this.startedAt)} ms: ${what} ${whom}`);
  }

  /** Kills and freezes processes of the fleet, one after another; a freeze does not delay the next fault. */
  private async hitProcesses(): Promise<void> {
    const freezes = new Set<Promise<void>>();
    while (!this.over) {
      await pause(this.options.faultEveryMs * (0.5 + this.random()));
      const targets = this.fleet.members.filter(
        ({ role, name, frozen }) => role !== 'operator' && name !== SPARED && !frozen,
      );
      const target = targets[Math.floor(this.random() * targets.length)];
      if (target === undefined || this.over) continue;
      if (this.random() < 0.4) {
        this.note('kill', target.name);
        await this.fleet.replace(target);
      } else {
        this.note('freeze', target.name);
        // From less than a lease to more than two.
        const frozen = this.fleet.freeze(target, LEASE_TTL_MS * (0.3 + 2 * this.random()));
        freezes.add(frozen);
        void frozen.finally(() => freezes.delete(frozen));
      }
    }
    await Promise.all(freezes);
  }

  /** Faults of the server, evenly spaced; the failover comes last, because there is no replica after it. */
  private async hitServers(): Promise<void> {
    const { restarts, powerCuts, freezes, failover, durationMs } = this.options;
    const acts: (() => Promise<void>)[] = [];
    const act = (count: number, what: string, deed: () => Promise<number | undefined>): void => {
      for (let i = 0; i < count; i++) {
        acts.splice(Math.floor(this.random() * (acts.length + 1)), 0, async () => {
          this.note(what, '');
          const diedAt = await this.outage(deed);
          if (diedAt !== undefined) this.deaths.push(diedAt);
        });
      }
    };
    act(restarts, 'server restart', () => this.servers.restart());
    act(powerCuts, 'power cut', () => this.servers.powerCut());
    act(freezes, 'server freeze', () => this.servers.freeze(CALL_TIMEOUT_MS * 1.5));
    const last: typeof acts = [];
    if (failover) {
      last.push(async () => {
        this.note('failover', '');
        this.deaths.push(await this.outage(() => this.servers.failover()));
      });
    }
    const all = [...acts, ...last];
    for (const deed of all) {
      await pause(durationMs / (all.length + 1));
      await deed();
    }
  }
}

function countsOf(readings: readonly Reading[]): Readings {
  const told = new Map<string, number>();
  let seen = 0;
  for (const reading of readings) {
    if (reading.entry === 'seen') seen += 1;
    else if (reading.entry === 'told') told.set(reading.code, (told.get(reading.code) ?? 0) + 1);
  }
  return { seen, told };
}
