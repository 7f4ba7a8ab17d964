/**
 * Claims metered work for a worker: a set of meters at a time, with admissions that were obtained before (ruling 19). Many
 * sets are asked for side by side, none for more than its limits can admit. A set that was refused is left alone until its
 * policy has room for this worker, which it says, or for some seconds: so tenants at their limits cost little while they
 * wait, work of one with room is found by its wake, and room that was told to a worker that died is not lost.
 */
import { familyOf } from '../../model/families.js';
import { partitionKeyOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import { namesBudget, narrowestLimitsOf } from '../../model/metering/meters.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend, Wake } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { policiesOf } from '../engine/deliveries.js';
import type { Abilities } from './abilities.js';
import { admit, handBack, type MeteredPlace } from './admissions.js';
import type { Claimant } from './claim-call.js';
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
  /** Room for so many executions at most; what is not used is given back by `settle`. */
  readonly reserve: (place: MeteredPlace, wanted: number) => number;
  readonly settle: (place: MeteredPlace, count: number, got: number) => void;
  /** What one claim brought: called before its work is handed on. */
  readonly onAnswer: (laneId: string, executions: readonly ClaimedExecution[]) => void;
  readonly onClaimed: (claimed: ClaimedExecution, laneId: string, requestedAt: number) => void;
  readonly onReclaimCapExceeded: (executionIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
  /** Room that was reserved may be free again, for work of every kind: it is to be planned anew. */
  readonly onRoom: () => void;
  /** A claim is under way. */
  readonly track: (flight: Promise<void>) => void;
}

/** A set that may have work. */
interface KnownSet extends MeteredPlace {
  /** Nothing is asked for it before this time, by the clock; it was refused. */
  quietUntil: number;
  asking: boolean;
  /** What was heard of it since it was last asked for: that work came, that its meters have room. */
  hasNewWork: boolean;
  hasNewRoom: boolean;
}

const keyOf = ({ laneId, partition, meters }: MeteredPlace): string => `${partition}\t${laneId}\t${meters}`;

/** Sets that are remembered; those beyond are found again by the next look. */
const MAX_KNOWN = 10_000;
/** How long a set that was refused is left alone until a wake, ms: at least, for each set that is known, and at most. */
const SILENCE_MS = 5_000;
const SILENCE_PER_SET_MS = 10;
const MAX_SILENCE_MS = 30_000;
/** How long a set is left alone after a fault, ms. */
const AFTER_FAULT_MS = 1_000;

export class MeteredClaims {
  private readonly sets = new Map<string, KnownSet>();
  /** Those that may be asked for now, in the order in which they get their turn. */
  private readonly ready = new Set<KnownSet>();
  /** Those of which as many are in hand or asked for here as may run at once, by meter set: ready when that number falls. */
  private readonly full = new Map<string, Set<KnownSet>>();
  /** The set that was heard of last: it gets every second turn, so it does not wait until all others were refused. */
  private newest: KnownSet | undefined;
  private wasNewest = false;
  /** Executions in hand, by lease. */
  private readonly held = new Map<string, MeteredPlace>();
  /** How many of them, and of those that are asked for, a meter set has. */
  private readonly load = new Map<string, number>();
  private readonly returns: Returns;
  private timer: Cancel | undefined;
  private wakeAt = Infinity;
  private started = false;
  private stopped = false;
  private inUse: readonly string[] = [];
  private isMetered = false;
  private sweeping: Cancel | undefined;

  constructor(private readonly options: MeteredClaimsOptions) {
    this.returns = new Returns(options);
  }

  /** Looks for metered work from now on, once the deployment has any: until then nothing is asked and no timer runs. */
  start(): void {
    this.started = true;
  }

  /** Asks for nothing any more; slots of what completes from now on are given back all the same. */
  stop(): void {
    this.stopped = true;
    this.timer?.();
    this.sweeping?.();
    this.sets.clear();
    this.ready.clear();
    this.full.clear();
  }

  /** Gives back the slots of what completed. Before the asks of a pump: in one call with them, they find the slots free. */
  flush(): void {
    this.returns.flush();
  }

  /** Says everything that is left to be said of slots, at once. */
  close(): void {
    this.returns.close();
  }

  /** Takes what a wake says of metered work. */
  woken(wake: Wake): void {
    if (wake.kind === 'metered') {
      const abilities = this.options.abilities();
      if (!abilities.covers(abilities.needFor(wake.requiredCapabilities, wake.executionKind))) return;
      this.note(wake);
    } else if (wake.kind === 'room_for' && wake.workerInstanceId === this.options.workerInstanceId) {
      const set = this.note(wake);
      if (set !== undefined) this.rouse(set);
    } else if (wake.kind === 'budget_room') {
      for (const set of this.sets.values()) if (namesBudget(set.meters, wake.budgetId)) this.rouse(set);
    }
  }

  /** Wakes may have been lost: what was refused is asked for again. */
  resynced(): void {
    for (const set of this.sets.values()) this.rouse(set);
  }

  /** An execution that was claimed here is over. Its slot is given back here when it is completed, and else by the timer loop. */
  ended(leaseId: string, isCompleted: boolean): void {
    const place = this.held.get(leaseId);
    if (place === undefined) return;
    this.held.delete(leaseId);
    const { partition, meters } = place;
    this.count(meters, -1);
    if (isCompleted) this.returns.add({ partition, meters, admissionId: leaseId });
  }

  /** Asks for admissions for the sets that may have work, while there is room. */
  pump(): void {
    if (this.stopped) return;
    if (this.started && this.sweeping === undefined && this.hasMeters) this.sweep();
    for (const set of this.inTurn()) {
      const { maxConcurrent, maxRequestsPerWindow } = narrowestLimitsOf(set.meters);
      const most = maxConcurrent - (this.load.get(set.meters) ?? 0);
      if (most <= 0) {
        this.ready.delete(set);
        this.full.set(set.meters, (this.full.get(set.meters) ?? new Set()).add(set));
        continue;
      }
      const count = this.options.reserve(set, Math.min(most, maxRequestsPerWindow, LIMITS.maxAdmissions));
      if (count === 0) return;
      this.ready.delete(set);
      this.wasNewest = set === this.newest;
      this.options.track(this.take(set, count));
    }
  }

  private *inTurn(): Iterable<KnownSet> {
    if (this.newest !== undefined && !this.wasNewest && this.ready.has(this.newest)) yield this.newest;
    yield* this.ready;
  }

  /** More of a meter set is in hand or asked for, or less: then those that waited for it may be asked for. */
  private count(meters: string, change: number): void {
    const sum = (this.load.get(meters) ?? 0) + change;
    if (sum === 0) this.load.delete(meters);
    else this.load.set(meters, sum);
    if (change >= 0) return;
    for (const set of this.full.get(meters) ?? []) this.makeReady(set);
    this.full.delete(meters);
  }

  /** A set may be asked for, unless that is under way, it is to be left alone, or nothing is known of it any more. */
  private makeReady(set: KnownSet): void {
    if (set.asking || set.quietUntil > this.options.clock.now() || this.sets.get(keyOf(set)) !== set) return;
    this.ready.add(set);
  }

  /** Whether the deployment has metered work: it uses quota policies, or did. */
  private get hasMeters(): boolean {
    const inUse = this.options.backend.partitionsInUse();
    if (inUse !== this.inUse) this.isMetered = inUse.some((partition) => familyOf(partition) === 'quota');
    this.inUse = inUse;
    return this.isMetered;
  }

  /** Looks at all metered queues, and again later: a wake can be lost. */
  private sweep(): void {
    if (this.stopped) return;
    this.options.track(this.look());
    this.sweeping = this.options.clock.after(this.options.sweepIntervalMs, () => this.sweep());
  }

  private async look(): Promise<void> {
    const { backend, lanes, onError } = this.options;
    const partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
    await Promise.all(
      lanes().flatMap((laneId) =>
        partitions.map((partition) => this.lookAt(laneId, partition).catch((error: unknown) => onError(error))),
      ),
    );
    this.pump();
  }

  private async lookAt(laneId: string, partition: string): Promise<void> {
    const abilities = this.options.abilities();
    let cursor: string | undefined;
    do {
      const page = await this.options.backend.listMeteredHeads({ partition, laneId, cursor });
      for (const { meters, requiredCapabilities, executionKind } of page.heads) {
        if (abilities.covers(abilities.needFor(requiredCapabilities, executionKind)))
          this.note({ laneId, partition, meters });
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined && !this.stopped);
  }

  /** There may be work of a set. */
  private note({ laneId, partition, meters }: MeteredPlace): KnownSet | undefined {
    const key = keyOf({ laneId, partition, meters });
    let set = this.sets.get(key);
    if (set === undefined) {
      if (this.sets.size >= MAX_KNOWN) return undefined;
      set = { laneId, partition, meters, quietUntil: 0, asking: false, hasNewWork: false, hasNewRoom: false };
      this.sets.set(key, set);
    }
    set.hasNewWork = true;
    this.newest = set;
    this.makeReady(set);
    return set;
  }

  /** The meters of a set may have room. */
  private rouse(set: KnownSet): void {
    set.quietUntil = 0;
    set.hasNewRoom = true;
    this.makeReady(set);
  }

  /** Obtains admissions for a set and claims with them. */
  private async take(set: KnownSet, count: number): Promise<void> {
    const { backend, clock, ids, settle, onAnswer, onClaimed, onError, onRoom, workerInstanceId } = this.options;
    const requestedAt = clock.now();
    set.asking = true;
    set.hasNewWork = set.hasNewRoom = false;
    this.count(set.meters, count);
    let executions: readonly ClaimedExecution[] = [];
    try {
      const minted = Array.from({ length: count }, () => ids());
      const admitted = await admit(backend, set, { workerInstanceId, silenceMs: this.silenceMs }, minted);
      // What was heard meanwhile can be that there is room: the wake overtakes the refusal.
      if ('retryAfterMs' in admitted) this.hush(set, set.hasNewRoom ? 0 : admitted.retryAfterMs);
      else executions = await this.claimWith(set, minted.slice(0, admitted.count));
    } catch (error) {
      // What was admitted and not claimed lapses: the policy finds out that it was not used.
      this.hush(set, AFTER_FAULT_MS);
      onError(error);
    }
    set.asking = false;
    this.count(set.meters, executions.length - count);
    // Behind the others: each gets its turn.
    this.makeReady(set);
    settle(set, count, executions.length);
    onAnswer(set.laneId, executions);
    for (const claimed of executions) {
      this.held.set(claimed.leaseId, set);
      onClaimed(claimed, set.laneId, requestedAt);
    }
    onRoom();
  }

  /** Claims with admissions, and gives back those that no work came for. */
  private async claimWith(set: KnownSet, admissions: readonly string[]): Promise<readonly ClaimedExecution[]> {
    const outcome = await this.claim(set, admissions);
    const executions = outcome.kind === 'claimed' ? outcome.executions : [];
    if (outcome.reclaimCapExceeded.length > 0) this.options.onReclaimCapExceeded(outcome.reclaimCapExceeded);
    // What the claim ended took places that work behind it could have had.
    if (outcome.reclaimCapExceeded.length > 0 || outcome.cancelled !== undefined) set.hasNewWork = true;
    const used = new Set(executions.map(({ leaseId }) => leaseId));
    const unused = admissions.filter((id) => !used.has(id));
    if (unused.length > 0) {
      // Less than was asked for: nothing is left there, until a wake says otherwise.
      if (!set.hasNewWork && !set.hasNewRoom) this.sets.delete(keyOf(set));
      this.options.track(this.giveBack(set, unused));
    }
    return executions;
  }

  /** Grows with the sets that are known: many tenants at their limits cost a hundred asks a second, not thousands. */
  private get silenceMs(): number {
    return Math.min(Math.max(SILENCE_MS, this.sets.size * SILENCE_PER_SET_MS), MAX_SILENCE_MS);
  }

  /** Leaves a set alone for a while. */
  private hush(set: KnownSet, forMs: number): void {
    if (forMs === 0) return;
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

  /** Sets that were left alone long enough are ready. */
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
