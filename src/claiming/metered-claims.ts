/**
 * Claims metered work for a worker: one meter set per claim, with admissions that were obtained before (ruling 19).
 * Many sets are handled concurrently, none for more than its limits can admit. After a refusal a set is skipped until
 * its policy announces room for this worker, or for some seconds. So tenants at their limits cost little, work of a
 * tenant with room is found by its wake, and room that was announced to a worker that died is not lost.
 */
import { LIMITS } from '../../model/limits.js';
import { namesBudget, narrowestLimitsOf } from '../../model/metering/meters.js';
import type { MeteredHead } from '../../model/metering/reads.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend, Wake } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { policiesOf } from '../engine/deliveries.js';
import { executionsSetAside } from '../backend/set-aside.js';
import type { Abilities } from './abilities.js';
import { admit, handBack, type MeteredPlace } from './admissions.js';
import { hasUsedUp, type Claimant } from './claim-call.js';
import { MeteredSweep } from './metered-sweep.js';
import { Returns } from './returns.js';

export interface MeteredClaimsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly workerInstanceId: string;
  readonly lanes: () => readonly string[];
  readonly claimant: () => Claimant;
  readonly abilities: () => Abilities;
  readonly sweepIntervalMs: number;
  /** Whether there is any room. */
  readonly hasRoom: () => boolean;
  /** Reserves room for at most `wanted` executions, 0 for a lane of which enough is on its way; `settle` returns the unused part. */
  readonly reserve: (place: MeteredPlace, wanted: number) => number;
  readonly settle: (place: MeteredPlace, count: number, got: number) => void;
  /** Called with the executions of a claim, before they are handed on. */
  readonly onAnswer: (laneId: string, executions: readonly ClaimedExecution[]) => void;
  readonly onClaimed: (claimed: ClaimedExecution, laneId: string, requestedAt: number) => void;
  readonly onReclaimCapExceeded: (executionIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
  /** Called when reserved room may be free again, also for other work. */
  readonly onRoom: () => void;
  /** Called with every claim in flight. */
  readonly track: (flight: Promise<void>) => void;
}

/** A meter set of a lane in a partition that may have work. */
interface KnownSet extends MeteredPlace {
  /** The set was refused, and is skipped until this time, on the worker's clock. */
  quietUntil: number;
  asking: boolean;
  /** Whether new work, or room of its meters, was announced since the last request for admissions. */
  hasNewWork: boolean;
  hasNewRoom: boolean;
}

const keyOf = ({ laneId, partition, meters }: MeteredPlace): string => `${partition}\t${laneId}\t${meters}`;

/**
 * Most sets that are remembered after a refusal, and most that wait for their request before further ones are left to
 * the next sweep. Refused sets beyond it are forgotten: their policy announces room, and the sweep finds them again.
 */
const MAX_KNOWN = 10_000;
/** How long a refused set is skipped without a wake, ms: the minimum, the part per known set, and the maximum. */
const SILENCE_MS = 5_000;
const SILENCE_PER_SET_MS = 10;
const MAX_SILENCE_MS = 30_000;
/** How long a set is skipped after a fault, ms. */
const AFTER_FAULT_MS = 1_000;

export class MeteredClaims {
  private readonly sets = new Map<string, KnownSet>();
  /** Sets to request admissions for now, in turn. */
  private readonly ready = new Set<KnownSet>();
  /**
   * By meter set: sets with as many executions in hand or requested as may run at once; ready when that number falls.
   */
  private readonly full = new Map<string, Set<KnownSet>>();
  /** The set announced last. It gets every second turn, so that it does not wait until all others were refused. */
  private newest: KnownSet | undefined;
  private wasNewest = false;
  /** Executions in hand, by lease. */
  private readonly held = new Map<string, MeteredPlace>();
  /** Executions in hand and requested, by meter set. */
  private readonly load = new Map<string, number>();
  private readonly returns: Returns;
  private timer: Cancel | undefined;
  private wakeAt = Infinity;
  private started = false;
  private stopped = false;
  private readonly sweep: MeteredSweep;

  constructor(private readonly options: MeteredClaimsOptions) {
    this.returns = new Returns(options);
    this.sweep = new MeteredSweep({
      ...options,
      onHeads: (partition, heads) => this.noteHeads(partition, heads),
      onLooked: () => this.pump(),
    });
  }

  /** Starts the sweeps for metered work. A deployment without metered work gets no calls and no timer. */
  start(): void {
    this.started = true;
  }

  /** Stops claiming. Slots of executions that complete later are still returned. */
  stop(): void {
    this.stopped = true;
    this.timer?.();
    this.sweep.stop();
    this.sets.clear();
    this.ready.clear();
    this.full.clear();
  }

  /**
   * Returns the slots of completed executions. Call it before `pump`: in the same call, its requests find them free.
   */
  flush(): void {
    this.returns.flush();
  }

  /** Returns all remaining slots at once. */
  close(): void {
    this.returns.close();
  }

  /** Handles a wake about metered work. */
  woken(wake: Wake): void {
    if (wake.kind === 'metered') {
      const abilities = this.options.abilities();
      if (!abilities.covers(abilities.needFor(wake.requiredCapabilities, wake.executionKind))) return;
      if (this.ready.size < MAX_KNOWN || this.sets.has(keyOf(wake))) this.note(wake);
    } else if (wake.kind === 'room_for' && wake.workerInstanceId === this.options.workerInstanceId) {
      this.noteRoom(this.note(wake));
    } else if (wake.kind === 'budget_room') {
      for (const set of this.sets.values()) if (namesBudget(set.meters, wake.budgetId)) this.noteRoom(set);
    }
  }

  /** Work may have come to lanes without an announcement. */
  look(): void {
    this.sweep.resynced();
  }

  /** Wakes may have been lost: requests admissions for refused sets again, and soon reads all queues. */
  resynced(): void {
    this.sweep.resynced();
    for (const set of this.sets.values()) this.noteRoom(set);
  }

  /** Call this when an execution is over. The slot of a completed one is returned here, any other by the timer loop. */
  ended(leaseId: string, isCompleted: boolean): void {
    const place = this.held.get(leaseId);
    if (place === undefined) return;
    this.held.delete(leaseId);
    const { partition, meters } = place;
    this.count(meters, -1);
    if (isCompleted) this.returns.add({ partition, meters, admissionId: leaseId });
  }

  /** Requests admissions for the sets that may have work, while there is room. */
  pump(): void {
    if (this.stopped) return;
    if (this.started) this.sweep.beginWhenMetered();
    let fullLanes: Set<string> | undefined;
    for (const set of this.setsToRequest()) {
      if (fullLanes?.has(set.laneId)) continue;
      const { maxConcurrent, maxRequestsPerWindow } = narrowestLimitsOf(set.meters);
      const most = maxConcurrent - (this.load.get(set.meters) ?? 0);
      if (most <= 0) {
        this.ready.delete(set);
        this.full.set(set.meters, (this.full.get(set.meters) ?? new Set()).add(set));
        continue;
      }
      const count = this.options.reserve(set, Math.min(most, maxRequestsPerWindow, LIMITS.maxAdmissions));
      if (count === 0) {
        if (!this.options.hasRoom()) return;
        fullLanes = (fullLanes ?? new Set()).add(set.laneId);
        continue;
      }
      this.ready.delete(set);
      this.wasNewest = set === this.newest;
      this.options.track(this.requestAndClaim(set, count));
    }
  }

  private *setsToRequest(): Iterable<KnownSet> {
    if (this.newest !== undefined && !this.wasNewest && this.ready.has(this.newest)) yield this.newest;
    yield* this.ready;
  }

  /** Changes the load of a meter set; when it falls, sets that waited for that are ready. */
  private count(meters: string, change: number): void {
    const sum = (this.load.get(meters) ?? 0) + change;
    if (sum === 0) this.load.delete(meters);
    else this.load.set(meters, sum);
    if (change >= 0) return;
    for (const set of this.full.get(meters) ?? []) this.makeReady(set);
    this.full.delete(meters);
  }

  /** Makes a set ready, unless a request for it is in flight, or it is skipped or forgotten. */
  private makeReady(set: KnownSet): void {
    if (set.asking || set.quietUntil > this.options.clock.now() || this.sets.get(keyOf(set)) !== set) return;
    this.ready.add(set);
  }

  private noteHeads(partition: string, heads: readonly MeteredHead[]): void {
    if (this.stopped) return;
    const abilities = this.options.abilities();
    for (const { laneId, meters, requiredCapabilities, executionKind } of heads)
      if (abilities.covers(abilities.needFor(requiredCapabilities, executionKind)))
        this.note({ laneId, partition, meters });
  }

  /** Records that a set may have work. */
  private note({ laneId, partition, meters }: MeteredPlace): KnownSet {
    const key = keyOf({ laneId, partition, meters });
    let set = this.sets.get(key);
    if (set === undefined) {
      set = { laneId, partition, meters, quietUntil: 0, asking: false, hasNewWork: false, hasNewRoom: false };
      this.sets.set(key, set);
    }
    set.hasNewWork = true;
    this.newest = set;
    this.makeReady(set);
    return set;
  }

  /** Records that the meters of a set may have room. */
  private noteRoom(set: KnownSet): void {
    set.quietUntil = 0;
    set.hasNewRoom = true;
    this.makeReady(set);
  }

  /** Obtains admissions for a set, and claims with them. */
  private async requestAndClaim(set: KnownSet, count: number): Promise<void> {
    const { backend, clock, ids, settle, onAnswer, onClaimed, onError, onRoom, workerInstanceId } = this.options;
    const requestedAt = clock.now();
    set.asking = true;
    set.hasNewWork = set.hasNewRoom = false;
    this.count(set.meters, count);
    let executions: readonly ClaimedExecution[] = [];
    try {
      const minted = Array.from({ length: count }, () => ids());
      const admitted = await admit(backend, set, { workerInstanceId, silenceMs: this.silenceMs }, minted);
      // A wake that announces room can overtake the refusal.
      if (!('retryAfterMs' in admitted)) executions = await this.claimWith(set, minted.slice(0, admitted.count));
      else if (!set.hasNewRoom) this.silence(set, admitted.retryAfterMs);
    } catch (error) {
      // Unused admissions lapse, because the policy checks whether they are used.
      this.silence(set, AFTER_FAULT_MS);
      onError(error);
    }
    set.asking = false;
    this.count(set.meters, executions.length - count);
    // At the end of the order, so that each set gets its turn.
    this.makeReady(set);
    settle(set, count, executions.length);
    onAnswer(set.laneId, executions);
    for (const claimed of executions) {
      this.held.set(claimed.leaseId, set);
      onClaimed(claimed, set.laneId, requestedAt);
    }
    onRoom();
  }

  /** Claims with admissions, and returns those without work. */
  private async claimWith(set: KnownSet, admissions: readonly string[]): Promise<readonly ClaimedExecution[]> {
    const outcome = await this.claim(set, admissions);
    const executions = outcome.kind === 'claimed' ? outcome.executions : [];
    if (outcome.reclaimCapExceeded.length > 0) this.options.onReclaimCapExceeded(outcome.reclaimCapExceeded);
    if (outcome.setAside !== undefined) this.options.onError(executionsSetAside(set.partition, outcome.setAside));
    if (hasUsedUp(outcome)) set.hasNewWork = true;
    const used = new Set(executions.map(({ leaseId }) => leaseId));
    const unused = admissions.filter((id) => !used.has(id));
    if (unused.length > 0) {
      // The claim came back short, so the set has no work until a wake announces some.
      if (!set.hasNewWork && !set.hasNewRoom) this.sets.delete(keyOf(set));
      this.options.track(this.giveBack(set, unused));
    }
    return executions;
  }

  /**
   * Grows with the known sets, so that many tenants at their limits cost a hundred requests a second, not thousands.
   */
  private get silenceMs(): number {
    return Math.min(Math.max(SILENCE_MS, this.sets.size * SILENCE_PER_SET_MS), MAX_SILENCE_MS);
  }

  /** Skips a set for a while, or forgets it if too many are known: it was refused last, so it is skipped longest. */
  private silence(set: KnownSet, forMs: number): void {
    if (this.sets.size > MAX_KNOWN) {
      this.sets.delete(keyOf(set));
      return;
    }
    set.quietUntil = this.options.clock.now() + forMs;
    this.wakeBy(set.quietUntil);
  }

  private claim({ laneId, partition, meters }: MeteredPlace, leaseIds: readonly string[]) {
    const { backend, claimant, ids } = this.options;
    const claims = leaseIds.map((leaseId) => ({ leaseId, attemptId: ids() }));
    return backend.claimForWorker({ ...claimant(), partition, laneId, meters, claims });
  }

  private giveBack({ meters }: MeteredPlace, ids: readonly string[]): Promise<void> {
    const { backend, onError } = this.options;
    return handBack(backend, policiesOf(meters), ids).catch((error: unknown) => onError(error));
  }

  private wakeBy(at: number): void {
    if (this.stopped || at >= this.wakeAt) return;
    this.timer?.();
    this.wakeAt = at;
    const { clock } = this.options;
    this.timer = clock.after(Math.max(1, at - clock.now()), () => this.endSilence());
  }

  /** Makes sets ready that were skipped long enough. */
  private endSilence(): void {
    const now = this.options.clock.now();
    let next = Infinity;
    for (const set of this.sets.values()) {
      if (set.quietUntil > now) next = Math.min(next, set.quietUntil);
      else this.makeReady(set);
    }
    this.wakeAt = Infinity;
    this.timer = undefined;
    if (next < Infinity) this.wakeBy(next);
    this.pump();
  }
}
