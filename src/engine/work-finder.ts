/**
 * Claiming without a worker: finds the partition in which there is work. For those who call the backend themselves; a
 * worker does the same and more.
 */
import { partitionKeyOf } from '../../model/ids.js';
import type { ArgsOf } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import type { Backend } from '../backend.js';
import { systemClock, type Cancel, type Clock } from './clock.js';
import { knownWork, SWEEP_INTERVAL_MS, type WorkMarks } from './known-work.js';

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

/** Partitions that all claims go to as long as there is work, so that they travel together: one is on its way while the other is waited for. */
const MAX_HOMES = 2;
/** Claims that find work in one partition before others that may have work get their turn. */
const TURN_CLAIMS = 256;

/** What was found out for one set of capabilities. */
interface View {
  readonly marks: WorkMarks;
  sweptAt: number;
}

/** A claim that waits for work. */
interface Waiter {
  readonly view: View;
  readonly args: ClaimAnywhere;
  readonly resolve: (executions: readonly ClaimedExecution[]) => void;
  readonly reject: (error: unknown) => void;
  cancel: Cancel;
  /** It waits only for those who look. */
  late: boolean;
}

/** @example
 * const finder = await WorkFinder.start(backend, { laneId: 'mail' });
 * const claimed = await finder.claim({ workerId: 'w', workerInstanceId: id, claims: [{ leaseId: newId(), attemptId: newId() }] });
 */
export class WorkFinder {
  private readonly partitions: readonly string[];
  private readonly views = new Map<string, View>();
  private readonly homes = new Map<string, number>();
  private readonly waiters = new Set<Waiter>();
  private readonly clock: Clock;
  private readonly stopListening: () => void;
  private unsubscribe: (() => void) | undefined;
  /** The next sweep for those who wait. */
  private sweeping: Cancel | undefined;
  private closed = false;

  private constructor(
    private readonly backend: Backend,
    private readonly options: WorkFinderOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
    this.stopListening = knownWork(backend).listen(() => this.searchForWaiters());
  }

  /** Resolves when wakes arrive. @throws EngineError when the subscription fails */
  static async start(backend: Backend, options: WorkFinderOptions): Promise<WorkFinder> {
    const finder = new WorkFinder(backend, options);
    finder.unsubscribe = await backend.onWake([options.laneId], (wake) => {
      if (wake.kind === 'work') finder.woken(wake.partition, wake.requiredCapabilities.join(), wake.arriving);
      else if (wake.kind === 'resync') finder.resynced();
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
    const view = this.viewFor(args.workerCapabilities ?? []);
    this.sweep(view);
    const executions = await this.search(view, args, near);
    if (executions.length > 0 || (waitMs <= 0 && this.isHopeless(view))) return executions;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { view, args, resolve, reject, late: waitMs <= 0, cancel: () => undefined };
      if (waitMs > 0) {
        waiter.cancel = this.clock.after(waitMs, () => {
          waiter.late = true;
          // One that looks at this moment is answered when it has looked.
          if (this.waiters.has(waiter)) this.giveUp(waiter);
        });
      }
      this.wait(waiter);
    });
  }

  /** Ends the subscription, and every wait. */
  close(): void {
    this.closed = true;
    this.unsubscribe?.();
    this.stopListening();
    for (const waiter of this.waiters) this.giveUp(waiter);
  }

  /** Wakes may have been lost: anything may be anywhere. */
  private resynced(): void {
    for (const view of this.views.values()) {
      view.sweptAt = -Infinity;
      this.sweep(view);
    }
    this.searchForWaiters();
  }

  private woken(partition: string, needs: string, arriving: number | undefined): void {
    if (arriving === undefined) {
      for (const { marks } of this.views.values())
        if (marks.covers(needs)) marks.mark(this.options.laneId, partition, needs);
      this.searchForWaiters();
      return;
    }
    // Work that is only on its way, in a call that takes claims along. What nobody takes is announced when it is there.
    let left = arriving;
    for (const waiter of leastCapableFirst(this.waiters)) {
      if (left <= 0) return;
      if (!waiter.view.marks.covers(needs)) continue;
      left -= waiter.args.claims.length;
      this.serve(waiter, this.claimAt(waiter.view.marks, waiter.args, partition));
    }
  }

  /** Those who wait look wherever somebody may look. */
  private searchForWaiters(): void {
    const closed = new Set<View>();
    for (const waiter of this.waiters) {
      if (!closed.has(waiter.view) || waiter.late) this.wait(waiter);
      if (this.waiters.has(waiter)) closed.add(waiter.view);
    }
  }

  /** Lets a claim look if it may, wait if it can, and give up otherwise. */
  private wait(waiter: Waiter): void {
    const { view, args, late } = waiter;
    this.waiters.add(waiter);
    this.sweepLater();
    if (this.closed) this.giveUp(waiter);
    else if (this.next(view.marks, undefined) !== undefined) this.serve(waiter, this.search(view, args, undefined));
    else if (late && this.isHopeless(view)) this.giveUp(waiter);
  }

  private isHopeless({ marks }: View): boolean {
    return marks.partitionsOf(this.options.laneId).size === 0;
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

  private async search(
    { marks }: View,
    args: ClaimAnywhere,
    near: string | undefined,
  ): Promise<readonly ClaimedExecution[]> {
    const { laneId } = this.options;
    for (let partition = this.next(marks, near); partition !== undefined; partition = this.next(marks, near)) {
      const { moment } = marks;
      const looking = marks.look(laneId, partition);
      let executions: readonly ClaimedExecution[];
      try {
        executions = await this.claimAt(marks, args, partition, moment);
        if (executions.length === args.claims.length) this.foundAll(marks, partition);
      } finally {
        marks.looked(looking);
        knownWork(this.backend).stir();
      }
      if (executions.length > 0) return executions;
    }
    return [];
  }

  private async claimAt(
    marks: WorkMarks,
    args: ClaimAnywhere,
    partition: string,
    moment = marks.moment,
  ): Promise<readonly ClaimedExecution[]> {
    const { laneId } = this.options;
    const outcome = await this.backend.claimForWorker({ ...args, partition, laneId });
    const executions = outcome.kind === 'claimed' ? outcome.executions : [];
    if (executions.length < args.claims.length) {
      marks.foundShort(laneId, partition, moment);
      // What the claim ended took places that work behind it could have had: look again.
      if (outcome.reclaimCapExceeded.length > 0) marks.mark(laneId, partition);
      knownWork(this.backend).stir();
    }
    return executions;
  }

  private foundAll(marks: WorkMarks, partition: string): void {
    const { laneId } = this.options;
    marks.foundAll(laneId, partition);
    const claims = this.homes.get(partition) ?? 0;
    if (claims < TURN_CLAIMS) {
      if (claims > 0 || this.homes.size < MAX_HOMES) this.homes.set(partition, claims + 1);
      return;
    }
    this.homes.delete(partition);
    marks.passOn(laneId, partition);
  }

  /** The partition to look at: that of something else that is sent now, one where others are, any that may have work. */
  private next(marks: WorkMarks, near: string | undefined): string | undefined {
    const { laneId } = this.options;
    const places = marks.partitionsOf(laneId);
    const isOpen = (partition: string): boolean => places.has(partition) && !marks.isCrowded(laneId, partition);
    if (near !== undefined && (this.homes.has(near) || this.homes.size < MAX_HOMES) && isOpen(near)) return near;
    for (const home of this.homes.keys()) {
      if (isOpen(home)) return home;
      if (!places.has(home)) this.homes.delete(home);
    }
    for (const partition of places.keys()) if (isOpen(partition)) return partition;
    return undefined;
  }

  private get sweepIntervalMs(): number {
    return this.options.sweepIntervalMs ?? SWEEP_INTERVAL_MS;
  }

  /** As long as somebody waits, what a wake did not say is found by sweeps. */
  private sweepLater(): void {
    if (this.sweeping !== undefined || this.closed || this.waiters.size === 0) return;
    const views = new Set([...this.waiters].map(({ view }) => view));
    const dueAt = Math.min(...[...views].map(({ sweptAt }) => sweptAt)) + this.sweepIntervalMs;
    this.sweeping = this.clock.after(Math.max(1, dueAt - this.clock.now()), () => {
      this.sweeping = undefined;
      for (const view of views) this.sweep(view);
      this.searchForWaiters();
      this.sweepLater();
    });
  }

  /** A wait is over. A timer for nobody would keep the process alive. */
  private ended(waiter: Waiter): void {
    waiter.cancel();
    if (this.waiters.size > 0) return;
    this.sweeping?.();
    this.sweeping = undefined;
  }

  private sweep(view: View): void {
    const now = this.clock.now();
    if (now - view.sweptAt < this.sweepIntervalMs) return;
    view.sweptAt = now;
    for (const partition of this.partitions) view.marks.mark(this.options.laneId, partition);
  }

  private viewFor(capabilities: readonly string[]): View {
    const key = capabilities.join();
    let view = this.views.get(key);
    if (view === undefined)
      this.views.set(key, (view = { marks: knownWork(this.backend).marksFor(capabilities), sweptAt: -Infinity }));
    return view;
  }
}

/** Those who can do more stay free for what nobody else can do. */
function leastCapableFirst(waiters: Iterable<Waiter>): Waiter[] {
  return [...waiters].sort(
    (a, b) => (a.args.workerCapabilities?.length ?? 0) - (b.args.workerCapabilities?.length ?? 0),
  );
}
