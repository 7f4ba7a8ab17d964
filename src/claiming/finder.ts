/**
 * Claiming without a worker: finds the partition in which there is work, by the same planner as a worker. For those who
 * call the backend themselves.
 */
import { partitionKeyOf } from '../../model/ids.js';
import type { ArgsOf } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend } from '../backend.js';
import { systemClock, type Cancel, type Clock } from '../engine/clock.js';
import { isRetryable } from '../engine/retry.js';
import type { Abilities } from './abilities.js';
import { leadsOf, type Leads } from './leads.js';
import { Parties, type Party } from './parties.js';
import type { PlannedClaim, WorkWake } from './plan.js';
import { Planner } from './planner.js';
import { PollTimer } from './poll-timer.js';
import { SWEEP_INTERVAL_MS } from './sweep.js';

export interface WorkFinderOptions {
  /** The lane to claim from. */
  readonly laneId: string;
  /** How often every partition is searched although nothing points to work there, ms: what a lost wake can cost. Default 5 000. */
  readonly sweepIntervalMs?: number;
  /** Time; for tests. */
  readonly clock?: Clock;
}

/** A claim that does not say where. */
export type ClaimAnywhere = Omit<ArgsOf<'claimForWorker'>, 'partition' | 'laneId'>;

export interface FindOptions {
  /** The partition of something that is sent in this turn too: it is looked at first, so that both travel together. */
  readonly near?: string;
  /** How long to wait for work when there is none, ms. Default 0. */
  readonly waitMs?: number;
}

/** Executions that are claimed in one partition before others that may have work get their turn. */
const TURN = 1_024;
/** A claim that waits for work. */
interface Waiter {
  readonly party: Party;
  readonly args: ClaimAnywhere;
  readonly resolve: (executions: readonly ClaimedExecution[]) => void;
  readonly reject: (error: unknown) => void;
  cancel: Cancel;
  /** Its time is over, or it had none: it waits only for claims under way that may leave something for it. */
  late: boolean;
}

/** @example
 * const finder = await WorkFinder.start(backend, { laneId: 'mail' });
 * const claimed = await finder.claim({ workerId: 'w', workerInstanceId: id, claims: [{ leaseId: newId(), attemptId: newId() }] });
 */
export class WorkFinder {
  private readonly leads: Leads;
  private readonly partitions: readonly string[];
  private readonly parties = new Parties((abilities) => this.plannerFor(abilities));
  private readonly waiters = new Set<Waiter>();
  private readonly clock: Clock;
  private readonly stopListening: () => void;
  private unsubscribe: (() => void) | undefined;
  private readonly timer: PollTimer;
  private closed = false;

  private constructor(
    private readonly backend: Backend,
    private readonly options: WorkFinderOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
    this.leads = leadsOf(backend, this.clock);
    this.timer = new PollTimer(this.clock, () => this.serveWaiters());
    this.stopListening = this.leads.onRelease(() => this.serveWaiters());
  }

  /** Resolves when wakes arrive. @throws EngineError when the subscription fails */
  static async start(backend: Backend, options: WorkFinderOptions): Promise<WorkFinder> {
    const finder = new WorkFinder(backend, options);
    finder.unsubscribe = await backend.onWake([options.laneId], (wake) => {
      if ((wake.kind as string) === 'resync') finder.resynced();
      else if (wake.kind === 'work') finder.woken(wake);
    });
    return finder;
  }

  /**
   * Claims where there is work, as far as this process knows. Empty when nothing points to work, and nothing came while
   * it waited. The first call to the store is made before this returns; where enough others look already, what they find
   * is awaited.
   *
   * @throws EngineError as `claimForWorker` does
   */
  async claim(args: ClaimAnywhere, { near, waitMs = 0 }: FindOptions = {}): Promise<readonly ClaimedExecution[]> {
    const { workerCapabilities = [], kinds }: ClaimAnywhere & { readonly kinds?: readonly string[] } = args;
    const party = this.parties.of(workerCapabilities, kinds);
    this.sweep(party);
    const executions = await this.search(party, args, near);
    if (executions.length > 0 || (waitMs <= 0 && !party.planner.hasLeads)) return executions;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { party, args, resolve, reject, late: waitMs <= 0, cancel: () => undefined };
      party.waiting++;
      if (waitMs > 0) {
        waiter.cancel = this.clock.after(waitMs, () => {
          waiter.late = true;
          // One whose claim is under way is answered when that is.
          if (this.waiters.has(waiter)) this.giveUp(waiter);
        });
      }
      this.wait(waiter);
      this.pollLater();
    });
  }

  /** Ends the subscription, and every wait. */
  close(): void {
    this.closed = true;
    this.unsubscribe?.();
    this.stopListening();
    for (const { planner } of this.parties) planner.stop();
    for (const waiter of this.waiters) this.giveUp(waiter);
  }

  private woken(wake: WorkWake): void {
    const now = this.clock.now();
    if (wake.arriving === undefined) {
      for (const { planner } of this.parties) planner.woken(wake, now);
      this.serveWaiters();
      return;
    }
    // Work that is only on its way, in a call that takes claims along. What nobody takes is announced when it is there.
    let arriving = wake.arriving;
    for (const waiter of leastCapableFirst(this.waiters)) {
      if (arriving <= 0) return;
      const { length } = waiter.args.claims;
      const claim = waiter.party.planner.arriving({ ...wake, arriving: length }, now);
      if (claim === undefined) continue;
      arriving -= length;
      this.serve(waiter, this.follow(waiter.party, claim, waiter.args));
    }
  }

  private resynced(): void {
    const now = this.clock.now();
    for (const { planner } of this.parties) planner.resynced(now);
    this.serveWaiters();
  }

  /** Claims that wait look wherever another claim may follow a lead. */
  private serveWaiters(): void {
    const inVain = new Set<Party>();
    for (const waiter of this.waiters) {
      if (!inVain.has(waiter.party) || waiter.late) this.wait(waiter);
      if (this.waiters.has(waiter)) inVain.add(waiter.party);
    }
    this.pollLater();
  }

  /** Lets a claim look if it may, wait if it can, and give up otherwise. */
  private wait(waiter: Waiter): void {
    const { party, args, late } = waiter;
    this.waiters.add(waiter);
    const claim = this.closed ? undefined : this.next(party, args, undefined);
    if (claim !== undefined) this.serve(waiter, this.search(party, args, undefined, claim));
    else if (this.closed || (late && !party.planner.hasLeads)) this.giveUp(waiter);
  }

  private giveUp(waiter: Waiter): void {
    this.waiters.delete(waiter);
    this.ended(waiter);
    waiter.resolve([]);
  }

  private serve(waiter: Waiter, search: Promise<readonly ClaimedExecution[]>): void {
    this.waiters.delete(waiter);
    search.then(
      (executions) => {
        if (executions.length === 0) {
          this.wait(waiter);
          this.pollLater();
          return;
        }
        this.ended(waiter);
        waiter.resolve(executions);
      },
      (error: unknown) => {
        this.ended(waiter);
        waiter.reject(error);
      },
    );
  }

  private next({ planner }: Party, { claims }: ClaimAnywhere, near: string | undefined): PlannedClaim | undefined {
    return planner.claimFor(claims.length, near, this.clock.now());
  }

  /** Follows one lead after the other until one brings work. */
  private async search(
    party: Party,
    args: ClaimAnywhere,
    near: string | undefined,
    first = this.next(party, args, near),
  ): Promise<readonly ClaimedExecution[]> {
    for (let claim = first; claim !== undefined; claim = this.next(party, args, near)) {
      const executions = await this.follow(party, claim, args);
      if (executions.length > 0) return executions;
    }
    return [];
  }

  private async follow(
    { planner }: Party,
    claim: PlannedClaim,
    args: ClaimAnywhere,
  ): Promise<readonly ClaimedExecution[]> {
    const { partition } = claim;
    try {
      const minPriority = args.minPriority ?? (claim.lanes[0]?.minPriority || undefined);
      const { laneId } = this.options;
      const outcome = await this.backend.claimForWorker({ ...args, partition, laneId, minPriority });
      const executions = outcome.kind === 'claimed' ? outcome.executions : [];
      const got = executions.length;
      // What the claim ended took places that work behind it could have had: it looks again.
      const { nextPriority, reclaimCapExceeded, cancelled } = outcome;
      const endedOthers = reclaimCapExceeded.length > 0 || cancelled !== undefined;
      planner.answered(claim, [{ got, nextPriority, endedOthers }], this.clock.now());
      planner.finished(partition, got);
      return executions;
    } catch (error) {
      planner.failed(claim, isRetryable(error), this.clock.now());
      throw error;
    } finally {
      this.leads.released();
    }
  }

  /** As long as a claim waits, what a wake did not say is found by the sweep. */
  private pollLater(): void {
    let at = Infinity;
    if (!this.closed && this.waiters.size > 0)
      for (const { planner, waiting } of this.parties) if (waiting > 0) at = Math.min(at, planner.pollAt);
    this.timer.by(at);
  }

  /** A wait is over. A timer for nobody would keep the process alive. */
  private ended({ cancel, party }: Waiter): void {
    cancel();
    party.waiting--;
    if (this.waiters.size === 0) this.pollLater();
  }

  private sweep(party: Party): void {
    const now = this.clock.now();
    if (now - party.sweptAt < (this.options.sweepIntervalMs ?? SWEEP_INTERVAL_MS)) return;
    party.sweptAt = now;
    party.planner.start(now);
  }

  private plannerFor(abilities: Abilities): Planner {
    const { leads, partitions, clock } = this;
    const { laneId, sweepIntervalMs = SWEEP_INTERVAL_MS } = this.options;
    return new Planner({
      leads,
      abilities,
      lanes: [laneId],
      partitions,
      slots: Infinity,
      claimAhead: 0,
      turn: TURN,
      burst: Infinity,
      sweepIntervalMs,
      chance: () => clock.random(),
    });
  }
}

/** Workers with more capabilities stay free for work that no other worker can do. */
function leastCapableFirst(waiters: Iterable<Waiter>): Waiter[] {
  return [...waiters].sort(
    (a, b) => (a.args.workerCapabilities?.length ?? 0) - (b.args.workerCapabilities?.length ?? 0),
  );
}
