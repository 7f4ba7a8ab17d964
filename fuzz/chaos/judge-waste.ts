/**
 * Judges waste: a healthy worker loses no lease, and no work waits while a healthy worker has room for it. A worker is
 * healthy as long as its process runs without a standstill and its calls are answered soon.
 */
import { isClaimable, isHeld } from '../../model/execution/situation.js';
import type { RecordedCall } from './recording.js';
import type { Span, Timeline } from './timeline.js';

/** A sign of life of a process, ms since the epoch. */
export interface Pulse {
  readonly process: string;
  readonly at: number;
}

export interface WasteOptions {
  readonly calls: readonly RecordedCall[];
  readonly pulses: readonly Pulse[];
  /** When servers could not serve. */
  readonly outages: readonly Span[];
  readonly leaseTtlMs: number;
  /** Handlers that a worker runs at once. */
  readonly slots: number;
}

/** Time between two pulses of a process, ms. */
export const PULSE_MS = 100;
/**
 * A lease is renewed after a third of its life. With leases of a second, a process whose loop stands still for no longer
 * than `MAX_STANDSTILL_MS`, and whose calls take no longer than `MAX_CALL_MS`, has time for that.
 */
const MAX_STANDSTILL_MS = 350;
const MAX_CALL_MS = 200;
/** A dying server can lose what it wrote in the last second, and with it renewals and endings, ms. */
const LOST_MS = 1_500;
/** Workers need time to notice that a server is back, ms. */
const RECOVERY_MS = 2_000;
/** Longest wait of claimable work beside a healthy worker with room: its wake can be lost, and a safety sweep takes 5 s. */
const MAX_WAIT_MS = 7_000;
/** Distance of the times from which such a wait is looked for, ms. */
const STEP_MS = 2_000;

/** All findings, by kind. The timelines are of all partitions, because a worker has work of several in hand. */
export function judgeWaste(
  timelines: readonly Timeline[],
  options: WasteOptions,
): { readonly [what: string]: readonly string[] } {
  const workers = new Workers(timelines, options);
  return {
    'leases that a healthy worker lost': timelines.flatMap((timeline) => [
      ...lostLeases(timeline, workers, options.leaseTtlMs),
    ]),
    'executions that waited beside a healthy worker with room': timelines.flatMap((timeline) => [
      ...idleWork(timeline, workers),
    ]),
  };
}

function* lostLeases(timeline: Timeline, workers: Workers, leaseTtlMs: number): Generator<string> {
  for (const executionId of timeline.executionIds) {
    for (const { state, next, until } of timeline.of(executionId)) {
      const expiresAt = state?.situation === 'running' ? state.dueAt : undefined;
      if (next === undefined || expiresAt === undefined || until <= expiresAt) continue;
      const { currentWorkerInstanceId: owner = '', currentLeaseEpoch: epoch } = state ?? {};
      const process = workers.healthyProcess(owner, { from: expiresAt - leaseTtlMs, until: expiresAt }, LOST_MS);
      if (process !== undefined)
        yield `  ${executionId}: the lease of epoch ${epoch} of ${process} ended at ${expiresAt}`;
    }
  }
}

function* idleWork(timeline: Timeline, workers: Workers): Generator<string> {
  for (const executionId of timeline.executionIds) {
    let waitsFrom: number | undefined;
    for (const { state, from, until } of timeline.of(executionId)) {
      // Metered work may wait for its policy, beside any number of free slots.
      const isOpen = state !== undefined && state.meters.length === 0 && !isHeld(state);
      const waits = isOpen && isClaimable(state.situation);
      waitsFrom = waits ? (waitsFrom ?? from) : undefined;
      if (waitsFrom === undefined) continue;
      const process = workers.withRoomIn({ from: waitsFrom, until });
      if (process === undefined) continue;
      yield `  ${executionId} waited from ${waitsFrom} to ${until}, and ${process} had room`;
      break;
    }
  }
}

/** The worker processes, with what they had in hand. */
class Workers {
  private readonly processes = new Map<string, { readonly pulses: number[]; readonly troubles: Span[] }>();
  /** The process of each worker. */
  private readonly processOf = new Map<string, string>();
  /** When a worker owned executions. */
  private readonly held = new Map<string, Span[]>();
  private readonly lastPulseAt: number;

  constructor(
    timelines: readonly Timeline[],
    private readonly options: WasteOptions,
  ) {
    this.lastPulseAt = options.pulses.reduce((last, { at }) => Math.max(last, at), -Infinity);
    for (const { process, at } of options.pulses) this.process(process).pulses.push(at);
    for (const { process, commands, sentAt, endedAt = Infinity, fault } of options.calls) {
      for (const { name, args } of commands)
        if (name === 'claimForWorker') this.processOf.set(args.workerInstanceId, process);
      if (fault !== undefined || endedAt - sentAt > MAX_CALL_MS)
        this.process(process).troubles.push({ from: sentAt, until: endedAt });
    }
    for (const timeline of timelines) {
      for (const executionId of timeline.executionIds) {
        for (const { state, from, until } of timeline.of(executionId)) {
          const worker = state?.situation === 'running' ? state.currentWorkerInstanceId : undefined;
          if (worker === undefined) continue;
          const spans = this.held.get(worker) ?? [];
          this.held.set(worker, spans);
          spans.push({ from, until });
        }
      }
    }
  }

  /** The process of a worker, if it was healthy all the time, and no server lost any of this time. */
  healthyProcess(workerInstanceId: string, span: Span, lostMs = 0): string | undefined {
    const process = this.processOf.get(workerInstanceId);
    const disturbs = (outage: Span): boolean =>
      outage.from - lostMs <= span.until && span.from <= outage.until + RECOVERY_MS;
    if (process === undefined || this.options.outages.some(disturbs)) return undefined;
    return this.isHealthy(process, span) ? process : undefined;
  }

  /** A process that was healthy and had a free slot during one of the waits that are too long in this span. */
  withRoomIn({ from, until }: Span): string | undefined {
    const last = Math.min(until, this.lastPulseAt) - MAX_WAIT_MS;
    for (let start = from; start <= last; start += STEP_MS) {
      const wait = { from: start, until: start + MAX_WAIT_MS };
      for (const worker of this.processOf.keys()) {
        const process = this.mostHeld(worker, wait) < this.options.slots && this.healthyProcess(worker, wait);
        if (process) return process;
      }
    }
    return undefined;
  }

  private process(name: string) {
    const known = this.processes.get(name) ?? { pulses: [], troubles: [] };
    this.processes.set(name, known);
    return known;
  }

  private isHealthy(name: string, { from, until }: Span): boolean {
    const overlaps = (other: Span): boolean => other.from <= until && from <= other.until;
    const { pulses, troubles } = this.process(name);
    if (troubles.some(overlaps)) return false;
    const near = pulses.filter((at) => at >= from - MAX_STANDSTILL_MS && at <= until + MAX_STANDSTILL_MS);
    const [first = Infinity] = near;
    if (first > from || (near.at(-1) ?? -Infinity) < until) return false;
    return near.every((at, index) => index === 0 || at - (near[index - 1] ?? at) <= MAX_STANDSTILL_MS);
  }

  /** The most executions that a worker owned at one time of the span. */
  private mostHeld(worker: string, { from, until }: Span): number {
    const changes = (this.held.get(worker) ?? [])
      .filter((held) => held.from <= until && from <= held.until)
      .flatMap((held) => [
        { at: held.from, by: 1 },
        { at: held.until, by: -1 },
      ])
      .sort((a, b) => a.at - b.at || a.by - b.by);
    let most = 0;
    let count = 0;
    for (const { by } of changes) most = Math.max(most, (count += by));
    return most;
  }
}
