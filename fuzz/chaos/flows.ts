/**
 * Flows with races and metered members in chaos: workers are killed and frozen; the server restarts, loses its tail, and
 * is replaced. At the end every flow has ended, no edge was lost or resolved twice, the stored state equals the folded
 * log, and no slot and no reservation is left or was beyond its limit. No healthy worker has lost a lease, and no member
 * has waited beside one with room.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Valkey } from 'iovalkey';
import { EngineError } from '../../model/errors.js';
import { isKnown, type LoggedEvent } from '../../model/events.js';
import { isTerminal } from '../../model/execution/situation.js';
import { partitionKeyOf } from '../../model/ids.js';
import { violations as violationsOf } from '../../model/specification/invariants.js';
import { emptyPartition, type PartitionState } from '../../model/state.js';
import type { Backend } from '../../src/backend/backend.js';
import { readEvents } from '../../src/engine/log.js';
import { canonicalByDefinition, type CanonicalState } from '../../src/testing/canonical/index.js';
import { canonicalOfValkey } from '../../src/testing/canonical/valkey/index.js';
import { valkey } from '../../src/valkey/index.js';
import { plain } from '../plain.js';
import { Fleet } from './fleet.js';
import { judgeWaste, type WasteOptions } from './judge-waste.js';
import { auditBudget, auditSlots } from '../meters/audit.js';
import { meterEvents } from '../meters/events.js';
import { patiently } from './patiently.js';
import { seededRandom } from './random.js';
import { Servers } from './servers.js';
import { settled } from './settled.js';
import { Timeline, type Span } from './timeline.js';
import { chaosApp, jobOf, meteredTask, type Job } from './work.js';

export interface FlowChaosOptions {
  /** Seed of the choices: the members of the flows, and the faults of each process with their times. */
  readonly seed: number;
  readonly flows: number;
  /** How long flows are submitted and faults happen, ms. */
  readonly durationMs: number;
  /** Worker processes. */
  readonly workers: number;
  /** Called at every fault. */
  readonly onFault: (what: string) => void;
}

export interface FlowChaosResult {
  /** Violations; empty when all is well. */
  readonly violations: readonly string[];
  readonly events: number;
  /** Situations of members -> number of members. */
  readonly endings: ReadonlyMap<string, number>;
  /** Flows that were acknowledged, lost by the server, and submitted again. */
  readonly runAgain: number;
}

/** The layout of a race. */
interface Race {
  readonly members: readonly Job[];
  readonly needs: number;
  readonly onSatisfied: 'cancel_remaining' | 'let_run';
}

const PREFIX = 'chaos-flows:';
const CALL_TIMEOUT_MS = 1_000;
const LEASE_TTL_MS = 1_000;
const SLOTS = 8;
const PARTITIONS = 2;
/** One worker is left alone: beside it no member may wait. */
const SPARED = 'worker-0';
/** Mean time between two faults of processes, ms. */
const FAULT_EVERY_MS = 1_500;
const LONG_LOG = 10_000_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Three races, one after another. No race waits for a signal. */
function racesOf(random: () => number): Race[] {
  return Array.from({ length: 3 }, () => {
    const members = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, index): Job => {
      const job = jobOf(index, random());
      return job.plan === 'wait' ? { ...job, plan: 'succeed' } : job;
    });
    const needs = 1 + Math.floor(random() * members.length);
    return { members, needs, onSatisfied: random() < 0.7 ? 'cancel_remaining' : 'let_run' };
  });
}

/** The client: submits flows under its own ids, and again those that the server lost. */
class FlowSubmitter {
  runAgain = 0;
  readonly budgetId: string;
  private readonly flow;
  private readonly races: readonly (readonly Race[])[];
  private readonly ids = new Map<number, string>();

  constructor(
    private readonly backend: Backend,
    count: number,
    random: () => number,
  ) {
    const { app, task } = chaosApp(backend);
    const { task: metered, budgetId } = meteredTask(app);
    this.budgetId = budgetId;
    this.races = Array.from({ length: count }, () => racesOf(random));
    this.flow = app.flow('races', (f, races: readonly Race[]) => {
      const join = { index: 0, plan: 'succeed', workMs: 1 } as const;
      let last = f.run(task, join);
      for (const { members, needs, onSatisfied } of races) {
        const nodes = members.map((member) => f.run(task, member, { after: [last] }));
        last = f.run(metered, { ...join, given: f.quorum(needs, nodes, { onSatisfied }) } as never);
      }
    });
  }

  async submit(overMs: number): Promise<void> {
    const startedAt = performance.now();
    for (const index of this.races.keys()) {
      await pause(Math.max(0, startedAt + (overMs * index) / this.races.length - performance.now()));
      await this.run(index);
    }
  }

  private async run(index: number): Promise<void> {
    for (;;) {
      try {
        const { id } = await this.flow.run(this.races[index] as Race[], { id: `flow-${index}` });
        this.ids.set(index, id);
        return;
      } catch (error) {
        if (!(error instanceof EngineError) || !error.retryable) throw error;
        await pause(50);
      }
    }
  }

  /** Waits until every flow has ended; returns those that never will. */
  async settled(): Promise<readonly string[]> {
    // Every flow is checked once more at the end, because one that had ended may have returned with a lost tail.
    const pending = await settled([...this.races.keys()], async (indexes) => {
      const ended = await Promise.all(indexes.map((index) => this.hasEnded(index)));
      return indexes.filter((_, position) => ended[position] === false);
    });
    return pending.map((index) => `flow ${index} as ${this.ids.get(index)} did not end`);
  }

  private async hasEnded(index: number): Promise<boolean> {
    try {
      const flow = await this.backend.describeFlow({ flowId: this.ids.get(index) as string });
      if (flow !== undefined) return flow.purgeAt !== undefined;
    } catch (error) {
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      return false;
    }
    this.runAgain++;
    await this.run(index);
    return false;
  }
}

export async function runFlowChaos(options: FlowChaosOptions): Promise<FlowChaosResult> {
  const random = seededRandom(options.seed);
  const dir = await mkdtemp(join(tmpdir(), 'flowfabric-chaos-'));
  const servers = await Servers.start('everysec', true);
  const fleet = new Fleet(
    {
      ...{ url: servers.url, prefix: PREFIX, partitions: PARTITIONS, callTimeoutMs: CALL_TIMEOUT_MS },
      ...{ leaseTtlMs: LEASE_TTL_MS, slots: SLOTS, claimAhead: 4, operationsPerSecond: 0, logMaxEntries: LONG_LOG },
      metered: true,
    },
    dir,
  );
  try {
    const common = { url: servers.url, prefix: PREFIX, callTimeoutMs: CALL_TIMEOUT_MS, logMaxEntries: LONG_LOG };
    const backend = await patiently(() => valkey({ ...common, partitions: { count: PARTITIONS } }));
    const submitter = new FlowSubmitter(backend, options.flows, random);
    const roles = [...Array.from({ length: options.workers }, () => 'worker' as const), 'engine' as const];
    await Promise.all(roles.map((role, index) => fleet.add(role, `${role}-${index}`)));
    const faults = new Faults(servers, fleet, random, options);
    await Promise.all([submitter.submit(options.durationMs), faults.ofServers(), faults.ofProcesses()]);
    const unended = await submitter.settled();
    const unmetered = await meterFaults(backend, submitter.budgetId);
    await fleet.end();
    const { calls, pulses } = await fleet.record();
    const { outages } = faults;
    const judged = await judge(backend, servers.url, {
      calls,
      pulses,
      outages,
      leaseTtlMs: LEASE_TTL_MS,
      slots: SLOTS,
    });
    await backend.close();
    const found = [...unended, ...unmetered, ...fleet.crashes, ...judged.violations];
    return { ...judged, violations: found, runAgain: submitter.runAgain };
  } finally {
    await fleet.end();
    await servers.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** The faults of processes and servers while flows are submitted. */
class Faults {
  /** When servers could not serve. */
  readonly outages: Span[] = [];
  private readonly endsAt: number;

  constructor(
    private readonly servers: Servers,
    private readonly fleet: Fleet,
    private readonly random: () => number,
    private readonly options: FlowChaosOptions,
  ) {
    this.endsAt = performance.now() + options.durationMs;
  }

  /** A restart, a power cut and a failover, evenly spaced; after the failover there is no replica. */
  async ofServers(): Promise<void> {
    for (const act of ['restart', 'powerCut', 'failover'] as const) {
      await pause(this.options.durationMs / 4);
      this.options.onFault(act);
      const from = Date.now();
      await this.servers[act]();
      this.outages.push({ from, until: Date.now() });
    }
  }

  async ofProcesses(): Promise<void> {
    const freezes: Promise<void>[] = [];
    while (performance.now() < this.endsAt) {
      await pause(FAULT_EVERY_MS * (0.5 + this.random()));
      const targets = this.fleet.members.filter(({ name, frozen }) => name !== SPARED && !frozen);
      const target = targets[Math.floor(this.random() * targets.length)];
      if (target === undefined) continue;
      if (this.random() < 0.5) {
        this.options.onFault(`kill ${target.name}`);
        await this.fleet.replace(target);
      } else {
        this.options.onFault(`freeze ${target.name}`);
        // From less than a lease to more than two.
        freezes.push(this.fleet.freeze(target, LEASE_TTL_MS * (0.3 + 2 * this.random())));
      }
    }
    await Promise.all(freezes);
  }
}

async function judge(backend: Backend, url: string, waste: WasteOptions): Promise<Omit<FlowChaosResult, 'runAgain'>> {
  const violations: string[] = [];
  const timelines: Timeline[] = [];
  const endings = new Map<string, number>();
  let events = 0;
  const reader = new Valkey(url, { lazyConnect: true, enableAutoPipelining: true });
  await reader.connect();
  for (let index = 0; index < PARTITIONS; index++) {
    const partition = partitionKeyOf(index);
    const log: LoggedEvent[] = [];
    for await (const logged of readEvents(backend, { partition })) if (isKnown(logged)) log.push(logged);
    events += log.length;
    const timeline = new Timeline(log);
    timelines.push(timeline);
    const { state } = timeline;
    const now = await backend.serverTime();
    for (const { name, because } of violationsOf(state, log, now))
      violations.push(`${partition}: invariant "${name}" is broken: ${because}`);
    violations.push(...edgesOf(log, state), ...liveOf(state));
    const stored = await canonicalOfValkey(reader, PREFIX, partition, now);
    violations.push(...differencesOf(partition, foldedTo(state, log, now), stored));
    for (const { situation } of state.tables.execution.values())
      endings.set(situation, (endings.get(situation) ?? 0) + 1);
  }
  reader.disconnect();
  for (const [what, stories] of Object.entries(judgeWaste(timelines, waste)))
    if (stories.length > 0) violations.push(`${stories.length} ${what}:\n${stories.slice(0, 5).join('\n')}`);
  return { violations, events, endings };
}

/** Waits until no slot and no reservation is left. Returns what is, and where a limit was exceeded. */
async function meterFaults(backend: Backend, budgetId: string): Promise<readonly string[]> {
  const found = async (): Promise<readonly string[]> => {
    const { account, faults } = auditBudget(budgetId, await meterEvents(backend, 'budget'));
    const slots = await meterEvents(backend, 'quota');
    const all = [...faults, ...auditSlots(slots)];
    if (!slots.some(({ type }) => type === 'quota_admitted')) all.push('no metered member was admitted');
    if (account.reserved > 0) all.push(`${account.reserved} tokens are reserved for ever`);
    if (account.usage === 0) all.push('no metered member has run');
    return all;
  };
  return settled(await found(), found);
}

/** Edges that were resolved twice, and those that never were. */
function edgesOf(log: readonly LoggedEvent[], { tables }: PartitionState): string[] {
  const resolved = new Set<string>();
  const found: string[] = [];
  for (const { event, sequence } of log) {
    if (event.type !== 'dependency_resolved' && event.type !== 'dependencies_resolved') continue;
    for (const { edgeId } of event.type === 'dependency_resolved' ? [event] : event.edges) {
      const edge = `${event.executionId} ${edgeId}`;
      if (resolved.has(edge)) found.push(`entry ${sequence}: the edge ${edge} is resolved twice`);
      resolved.add(edge);
    }
  }
  for (const { executionId, dependencies = {} } of tables.execution.values())
    for (const edgeId of Object.keys(dependencies))
      if (!resolved.has(`${executionId} ${edgeId}`)) found.push(`the edge ${executionId} ${edgeId} was lost`);
  return found;
}

const liveOf = ({ tables }: PartitionState): string[] =>
  [...tables.execution.values()]
    .filter(({ situation }) => !isTerminal(situation))
    .map(({ executionId, situation }) => `${executionId} is ${situation}`);

/** The state that must be stored, according to its log, without bytes. */
const foldedTo = (state: PartitionState, log: readonly LoggedEvent[], now: number): CanonicalState =>
  canonicalByDefinition({ ...emptyPartition(), state, log: [...log] }, now);

const COMPARED = ['tables', 'queues', 'timers', 'suspended', 'counts', 'slots', 'shelves', 'ids', 'strays'] as const;

/** Parts of the stored state that differ from the folded log. */
const differencesOf = (partition: string, folded: CanonicalState, stored: CanonicalState): string[] =>
  COMPARED.filter((part) => !isDeepStrictEqual(plain(folded[part]), plain(stored[part]))).map(
    (part) => `${partition}: the stored ${part} differ from the log`,
  );
