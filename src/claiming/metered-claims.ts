/**
 * Claims metered work for a worker: a set of meters at a time, with admissions that were obtained before (ruling 19). A set
 * that was refused is left alone until its policy has room for this worker, which it says; so tenants at their limits cost
 * nothing while they wait, and work of one with room is found by its wake alone.
 */
import { familyOf } from '../../model/families.js';
import { partitionKeyOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import { namesBudget } from '../../model/metering/meters.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend, Wake } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { policiesOf } from '../engine/deliveries.js';
import type { Abilities } from './abilities.js';
import { admit, handBack, type MeteredPlace } from './admissions.js';
import type { Claimant } from './claim-call.js';

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
  /** Something was heard of it while it was asked for. */
  isNews: boolean;
}

const keyOf = ({ laneId, partition, meters }: MeteredPlace): string => `${partition}\t${laneId}\t${meters}`;

/** Sets that are remembered; those beyond are found again by the next look. */
const MAX_KNOWN = 10_000;
/** How long a set is left alone after a fault, ms. */
const AFTER_FAULT_MS = 1_000;

export class MeteredClaims {
  /** In the order in which they get their turn. */
  private readonly sets = new Map<string, KnownSet>();
  private timer: Cancel | undefined;
  private wakeAt = Infinity;
  private started = false;
  private stopped = false;
  private inUse: readonly string[] = [];
  private isMetered = false;
  private sweeping: Cancel | undefined;

  constructor(private readonly options: MeteredClaimsOptions) {}

  /** Looks for metered work from now on, once the deployment has any: until then nothing is asked and no timer runs. */
  start(): void {
    this.started = true;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.();
    this.sweeping?.();
    this.sets.clear();
  }

  /** Takes what a wake says of metered work. */
  woken(wake: Wake): void {
    if (wake.kind === 'metered') {
      const abilities = this.options.abilities();
      if (!abilities.covers(abilities.needFor(wake.requiredCapabilities, wake.executionKind))) return;
      this.note(wake);
    } else if (wake.kind === 'room_for' && wake.workerInstanceId === this.options.workerInstanceId) {
      const set = this.sets.get(keyOf(wake));
      if (set !== undefined) set.quietUntil = 0;
      this.note(wake);
    } else if (wake.kind === 'budget_room') {
      for (const set of this.sets.values()) {
        if (!namesBudget(set.meters, wake.budgetId)) continue;
        set.quietUntil = 0;
        set.isNews = true;
      }
    }
  }

  /** Wakes may have been lost: what was refused is asked for again. */
  resynced(): void {
    for (const set of this.sets.values()) {
      set.quietUntil = 0;
      set.isNews = true;
    }
  }

  /** Asks for admissions for every set that may have work, while there is room. */
  pump(): void {
    if (this.stopped) return;
    if (this.started && this.sweeping === undefined && this.hasMeters) this.sweep();
    if (this.sets.size === 0) return;
    const now = this.options.clock.now();
    let next = Infinity;
    for (const set of [...this.sets.values()]) {
      if (set.asking) continue;
      if (set.quietUntil > now) {
        next = Math.min(next, set.quietUntil);
        continue;
      }
      const count = this.options.reserve(set, LIMITS.maxAdmissions);
      if (count === 0) break;
      // Behind the others: each gets its turn.
      this.sets.delete(keyOf(set));
      this.sets.set(keyOf(set), set);
      this.options.track(this.take(set, count));
    }
    this.wakeBy(next);
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

  private note({ laneId, partition, meters }: MeteredPlace): void {
    const key = keyOf({ laneId, partition, meters });
    const known = this.sets.get(key);
    if (known !== undefined) {
      known.isNews = true;
      return;
    }
    if (this.sets.size >= MAX_KNOWN) return;
    this.sets.set(key, { laneId, partition, meters, quietUntil: 0, asking: false, isNews: false });
  }

  /** Obtains admissions for a set and claims with them. */
  private async take(set: KnownSet, count: number): Promise<void> {
    const { backend, clock, ids, settle, onClaimed, onReclaimCapExceeded, onError, onRoom, workerInstanceId } =
      this.options;
    const requestedAt = clock.now();
    set.asking = true;
    set.isNews = false;
    let executions: readonly ClaimedExecution[] = [];
    try {
      const minted = Array.from({ length: count }, () => ids());
      const admitted = await admit(backend, set, workerInstanceId, minted);
      if ('retryAfterMs' in admitted) {
        // What was heard meanwhile can be that there is room: the wake overtakes the refusal.
        if (!this.wasNews(set)) set.quietUntil = clock.now() + admitted.retryAfterMs;
      } else {
        const admissions = minted.slice(0, admitted.count);
        const outcome = await this.claim(set, admissions);
        if (outcome.kind === 'claimed') ({ executions } = outcome);
        if (outcome.reclaimCapExceeded.length > 0) onReclaimCapExceeded(outcome.reclaimCapExceeded);
        const used = new Set(executions.map(({ leaseId }) => leaseId));
        const unused = admissions.filter((id) => !used.has(id));
        // Less than was asked for: nothing is left there, until a wake says otherwise.
        if (unused.length > 0 && !this.wasNews(set)) this.sets.delete(keyOf(set));
        if (unused.length > 0) this.options.track(this.giveBack(set, unused));
      }
    } catch (error) {
      // What was admitted and not claimed lapses: the policy finds out that it was not used.
      set.quietUntil = clock.now() + AFTER_FAULT_MS;
      onError(error);
    }
    set.asking = false;
    settle(set, count, executions.length);
    for (const claimed of executions) onClaimed(claimed, set.laneId, requestedAt);
    onRoom();
  }

  private wasNews(set: KnownSet): boolean {
    return set.isNews;
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
    if (at === this.wakeAt) return;
    this.timer?.();
    this.wakeAt = at;
    if (at === Infinity) {
      this.timer = undefined;
      return;
    }
    const { clock } = this.options;
    this.timer = clock.after(Math.max(1, at - clock.now()), () => {
      this.wakeAt = Infinity;
      this.pump();
    });
  }
}
