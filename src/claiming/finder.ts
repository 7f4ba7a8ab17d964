/**
 * Claiming without a worker, for callers that use the backend directly: finds the partitions with work, by the same
 * planner as a worker.
 */
import { partitionKeyOf } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { ArgsOf } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend } from '../backend/backend.js';
import { checkClock, checkNumber, checkOptionNames, needBackend, refusedOption } from '../backend/settings.js';
import { systemClock, type Cancel, type Clock } from '../engine/clock.js';
import { isRetryable } from '../engine/retry.js';
import type { Abilities } from './abilities.js';
import { hasUsedUp } from './claim-call.js';
import { leadsOf, type Leads } from './leads.js';
import { Parties, type Party } from './parties.js';
import type { PlannedClaim, WorkWake } from './plan.js';
import { Planner } from './planner.js';
import { PollTimer } from './poll-timer.js';
import { propertyOf } from '../util/thrown.js';
import { SWEEP_INTERVAL_MS } from './sweep.js';

export interface WorkFinderOptions {
  /** The lane to claim from. */
  readonly laneId: string;
  /** How often every partition is checked without a wake, ms; bounds the cost of a lost wake. Default 5 000. */
  readonly sweepIntervalMs?: number;
  /** For tests. Default: the system clock. */
  readonly clock?: Clock;
}

/** What the finder decides for each call: where, and how urgent the work must be while more urgent work waits elsewhere. */
const DECIDED = ['partition', 'laneId', 'minPriority'] as const;
/** A claim without its place. */
export type ClaimAnywhere = Omit<ArgsOf<'claimForWorker'>, (typeof DECIDED)[number]>;

export interface FindOptions {
  /** The partition of another command sent in this turn; it is preferred, so that the claim can share its call. */
  readonly near?: string;
  /** How long to wait for work when there is none, ms. Default 0, at most 315 360 000 000 (ten years). */
  readonly waitMs?: number;
}

/** Executions claimed in one partition before other partitions with leads get their turn. */
const TURN = 1_024;
/** A claim that waits for work. */
interface Waiter {
  readonly party: Party;
  readonly args: ClaimAnywhere;
  readonly resolve: (executions: readonly ClaimedExecution[]) => void;
  readonly reject: (error: unknown) => void;
  cancel: Cancel;
  /** Its wait is over, or it had none: it only waits for claims in flight, to follow their leads afterwards. */
  late: boolean;
}

/**
 * Claims from one lane for callers without a worker.
 * @example
 * const finder = await WorkFinder.start(backend, { laneId: 'mail' });
 * const claims = [{ leaseId: newId(), attemptId: newId() }];
 * const claimed = await finder.claim({ workerId: 'w', workerInstanceId: id, claims });
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

  /** Resolves when the finder is subscribed to wakes. @throws EngineError when the subscription fails */
  static async start(backend: Backend, options: WorkFinderOptions): Promise<WorkFinder> {
    const where = 'WorkFinder';
    needBackend(where, backend);
    checkOptionNames(where, options, ['laneId', 'sweepIntervalMs', 'clock']);
    checkNumber(where, 'sweepIntervalMs', options.sweepIntervalMs, { min: 1, max: LIMITS.maxDurationMs });
    checkClock(where, options.clock);
    const finder = new WorkFinder(backend, options);
    try {
      finder.unsubscribe = await backend.onWake([options.laneId], (wake) => {
        if ((wake.kind as string) === 'resync') finder.resynced();
        else if (wake.kind === 'work') finder.woken(wake);
      });
    } catch (error) {
      finder.close();
      throw error;
    }
    return finder;
  }

  /**
   * Claims where this process knows of work. Empty when there are no leads, and no work came during the wait. The first
   * call to the store is made before this returns, unless enough other claims follow the leads already; then their
   * answers are awaited.
   *
   * @throws EngineError the errors of `claimForWorker`; `invalid_input` for a place or a least priority
   */
  async claim(args: ClaimAnywhere, { near, waitMs = 0 }: FindOptions = {}): Promise<readonly ClaimedExecution[]> {
    checkNumber('WorkFinder.claim()', 'waitMs', waitMs, { min: 0, max: LIMITS.maxDurationMs });
    for (const name of DECIDED)
      if (propertyOf(args, name) !== undefined)
        throw refusedOption(name, 'of WorkFinder.claim() is found by the finder, the most urgent work first');
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
          // A waiter with a claim in flight gets the answer to that claim.
          if (this.waiters.has(waiter)) this.giveUp(waiter);
        });
      }
      this.wait(waiter);
      this.pollLater();
    });
  }

  /** Ends the subscription and all waits. */
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
    // This work is still in a call, which can carry claims for it. If it is not claimed, the store announces it.
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

  /** Lets waiting claims follow leads with room for another claim. */
  private serveWaiters(): void {
    const withoutClaim = new Set<Party>();
    for (const waiter of this.waiters) {
      if (!withoutClaim.has(waiter.party) || waiter.late) this.wait(waiter);
      if (this.waiters.has(waiter)) withoutClaim.add(waiter.party);
    }
    this.pollLater();
  }

  /** Sends a claim if a lead allows it; otherwise lets it wait, or gives up. */
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

  /** Follows one lead after another until one brings work. */
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
      const minPriority = claim.lanes[0]?.minPriority || undefined;
      const { laneId } = this.options;
      const outcome = await this.backend.claimForWorker({ ...args, partition, laneId, minPriority });
      const executions = outcome.kind === 'claimed' ? outcome.executions : [];
      const got = executions.length;
      const { nextPriority } = outcome;
      planner.answered(claim, [{ got, nextPriority, mayHaveMore: hasUsedUp(outcome) }], this.clock.now());
      planner.finished(partition, got);
      return executions;
    } catch (error) {
      planner.failed(claim, isRetryable(error), this.clock.now());
      throw error;
    } finally {
      this.leads.released();
    }
  }

  /** While a claim waits, the sweep runs, in case a wake is lost. */
  private pollLater(): void {
    let at = Infinity;
    if (!this.closed && this.waiters.size > 0)
      for (const { planner, waiting } of this.parties) if (waiting > 0) at = Math.min(at, planner.pollAt);
    this.timer.by(at);
  }

  /** Ends a wait. Without waits no timer runs, since it would keep the process alive. */
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

/** Claimers with more capabilities stay free for work that no other claimer can run. */
function leastCapableFirst(waiters: Iterable<Waiter>): Waiter[] {
  return [...waiters].sort(
    (a, b) => (a.args.workerCapabilities?.length ?? 0) - (b.args.workerCapabilities?.length ?? 0),
  );
}
