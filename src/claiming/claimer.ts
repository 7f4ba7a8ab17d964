/**
 * Claims for a worker: sends what the planner plans, and tells it what became of it. A wake says where work is; the sweep
 * of the planner finds what a lost wake did not say.
 */
import { LIMITS } from '../../model/limits.js';
import { EngineError } from '../../model/errors.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend, CommandResult, Wake } from '../backend.js';
import type { Clock } from '../engine/clock.js';
import { localOffers, type LocalOffer } from '../engine/local-offers.js';
import { isRetryable } from '../engine/retry.js';
import { InFlight } from '../util/in-flight.js';
import { Abilities } from './abilities.js';
import { broughtBy, commandsOf, type Claimant } from './claim-call.js';
import { InputSizes } from './input-sizes.js';
import { LeaseIdStock, type LeaseIds } from './lease-ids.js';
import { leadsOf, type Leads } from './leads.js';
import { MeteredClaims } from './metered-claims.js';
import type { LaneClaim, PlannedClaim } from './plan.js';
import { Planner, type ClaimingMode } from './planner.js';
import { PollTimer } from './poll-timer.js';
import { WakeSubscription } from './wake-subscription.js';

export interface ClaimerOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[];
  /**
   * The kinds of work that the worker can run now; undefined for work of any kind, which more than 256 are taken for.
   * Asked again by `serve` and `kindsChanged`.
   */
  readonly kinds: () => readonly string[] | undefined;
  readonly slots: number;
  readonly claimAhead: number;
  readonly leaseTtlMs: number;
  /** The time of an attempt begins when the worker says so, by `beginAttempt`. Default false: with the claim. */
  readonly beginsLater?: boolean;
  readonly sweepIntervalMs: number;
  /** Work came; with its priority, as far as that is known. */
  readonly onClaimed: (claimed: ClaimedExecution, laneId: string, requestedAt: number) => void;
  /** Executions that a claim ended because their workers were lost too often. */
  readonly onReclaimCapExceeded: (executionIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
  /** A slot is free, and nothing says that there is work. Answers false to be asked again. */
  readonly onIdle: () => boolean;
}

export class Claimer {
  /** Claims made; most of them travel with other calls. */
  calls = 0;
  private readonly planner: Planner;
  private readonly leads: Leads;
  private readonly sizes = new InputSizes();
  private readonly stock: LeaseIdStock;
  private readonly subscription: WakeSubscription;
  private readonly flights = new InFlight((error) => this.options.onError(error));
  private readonly lanes: Set<string>;
  private claimant: Claimant;
  private readonly leave: () => void;
  private stopTaking: () => void = () => undefined;
  private readonly timer: PollTimer;
  private readonly metered: MeteredClaims;
  private started = false;
  private stopped = false;
  private wasIdle = false;
  private pumpsSoon = false;

  constructor(private readonly options: ClaimerOptions) {
    const { backend, clock, capabilities, onError, lanes } = options;
    this.lanes = new Set(lanes);
    this.claimant = this.claimantNow();
    this.stock = new LeaseIdStock(options.ids);
    this.leads = leadsOf(backend, clock);
    this.planner = new Planner({
      ...options,
      leads: this.leads,
      abilities: this.abilities(),
      lanes: [...this.lanes],
      partitions: Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index)),
      chance: () => clock.random(),
      maxAtOnce: (laneId) => this.sizes.most(laneId),
      looks: 'reads',
    });
    this.timer = new PollTimer(clock, () => this.pump());
    this.leave = this.leads.onRelease(() => this.pump());
    this.metered = new MeteredClaims({
      ...options,
      lanes: () => [...this.lanes],
      claimant: () => this.claimant,
      abilities: () => this.abilities(),
      reserve: ({ partition, laneId }, wanted) => this.planner.reserve(partition, laneId, wanted),
      settle: ({ partition, laneId }, count, got) => this.planner.settleAside(partition, laneId, count, got),
      onAnswer: (laneId, executions) => this.sizes.came(laneId, executions),
      onClaimed: (claimed, laneId, requestedAt) => {
        this.wasIdle = false;
        options.onClaimed(claimed, laneId, requestedAt);
      },
      onRoom: () => this.pump(),
      track: (flight) => this.track(flight),
    });
    this.subscription = new WakeSubscription({
      backend,
      clock,
      capabilities,
      onError,
      onWake: (wake) => this.woken(wake),
      onLate: (late) => this.look(late),
    });
  }

  get mode(): ClaimingMode {
    return this.planner.mode;
  }

  /** Subscribes, and looks everywhere once; resolves when the subscription stands or has failed once. */
  async start(): Promise<void> {
    this.started = true;
    await this.subscription.add([...this.lanes]);
    if (this.stopped) return;
    this.planner.start(this.options.clock.now());
    this.metered.start();
    this.stopTaking = localOffers(this.options.backend).listen((offer) => this.takes(offer));
    this.pump();
  }

  /** Serves the lane from now on, and the kinds of work that the worker can run by now. */
  serve(laneId: string): void {
    if (!this.lanes.has(laneId)) {
      this.lanes.add(laneId);
      this.planner.serve(laneId, this.options.clock.now());
      // What came while nobody listened was not announced.
      if (this.started) void this.subscription.add([laneId]).then(() => this.look([laneId]));
    }
    this.kindsChanged();
  }

  /** Claims the kinds of work that the worker can run by now. */
  kindsChanged(): void {
    this.claimant = this.claimantNow();
    this.planner.become(this.abilities(), this.options.clock.now());
    if (this.started) this.pump();
  }

  /** The place has work that this worker cannot run: others get a head start, now and for some minutes. */
  yieldTo(laneId: string, partition: string): void {
    this.planner.yieldTo({ laneId, partition }, this.options.clock.now());
    this.pumpSoon();
  }

  /** Executions that may wait in the worker from now on; more than `claimAhead` are never allowed. */
  limitAhead(count: number): void {
    this.planner.limitAhead(count);
  }

  /** Claims nothing (true), or goes on (false). */
  rest(resting: boolean): void {
    if (resting) {
      this.planner.rest();
      return;
    }
    this.planner.goOn();
    this.pump();
  }

  /** The worker is done with a lease; its execution is completed, or is not its own any more. */
  ended(leaseId: string, isCompleted: boolean): void {
    this.metered.ended(leaseId, isCompleted);
  }

  /** An execution in hand came to its end: its slot is free. */
  finished(partition: string): void {
    this.planner.finished(partition);
  }

  /** Sends every claim for which there is room and reason. */
  pump(): void {
    this.metered.flush();
    if (this.isSilent) return;
    // Metered work takes what its policies admit; the rest of the room is for all others.
    this.metered.pump();
    const { claims, reads, pollAt } = this.planner.plan(this.options.clock.now());
    if (reads.length > 0) this.track(this.read(reads));
    for (const claim of claims) this.launch(claim);
    this.timer.by(pollAt);
    if (claims.length > 0) this.wasIdle = false;
    this.wasIdle = this.mode === 'idle' && (this.wasIdle || this.options.onIdle());
  }

  /** The same at the end of this turn: what all tasks that end in it make room for is one claim, and travels with their endings. */
  pumpSoon(): void {
    if (this.pumpsSoon) return;
    this.pumpsSoon = true;
    process.nextTick(() => {
      this.pumpsSoon = false;
      this.pump();
    });
  }

  /** No more claims; resolves when those under way are answered. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.planner.stop();
    this.metered.stop();
    this.leave();
    this.stopTaking();
    this.timer.cancel();
    this.subscription.close();
    await this.flights.settled();
  }

  /** Gives back the slots of everything that completed; resolves when the policies know. */
  async close(): Promise<void> {
    this.metered.close();
    await this.flights.settled();
  }

  /** What the claims of the worker say from now on. */
  private claimantNow(): Claimant {
    const { workerId, workerInstanceId, capabilities, leaseTtlMs, beginsLater = false } = this.options;
    const kinds = this.options.kinds();
    return {
      workerId,
      workerInstanceId,
      workerCapabilities: [...capabilities],
      leaseTtlMs,
      ...(kinds === undefined || kinds.length > LIMITS.maxClaimKinds ? undefined : { kinds: [...kinds] }),
      ...(beginsLater ? { ahead: true } : undefined),
    };
  }

  private abilities(): Abilities {
    return new Abilities(this.claimant.workerCapabilities, this.claimant.kinds);
  }

  /** Whether no claim is to be made: the worker has stopped, or has nothing that it could run. */
  private get isSilent(): boolean {
    return this.stopped || this.claimant.kinds?.length === 0;
  }

  private look(lanes: readonly string[]): void {
    if (this.stopped) return;
    this.planner.look(lanes, this.options.clock.now());
    this.pump();
  }

  private woken(wake: Wake): void {
    if (this.isSilent) return;
    const now = this.options.clock.now();
    // Backends tell of a subscription that was made anew by a wake of its own.
    if ((wake.kind as string) === 'resync') {
      this.planner.resynced(now);
      this.metered.resynced();
    } else if (wake.kind === 'metered' || wake.kind === 'room_for' || wake.kind === 'budget_room')
      this.metered.woken(wake);
    else if (wake.kind !== 'work') return;
    else if (wake.arriving === undefined) this.planner.woken(wake, now);
    else {
      // Claims work on its way out of this process in the call that carries it.
      const claim = this.planner.arriving(wake, now);
      if (claim !== undefined) this.launch(claim);
      return;
    }
    this.pump();
  }

  /** Claims work that a command of this process may make claimable, in the call that carries the command. */
  private takes(offer: LocalOffer): boolean {
    if (this.isSilent) return false;
    const claim = this.planner.arriving({ kind: 'work', ...offer, arriving: 1 }, this.options.clock.now());
    if (claim !== undefined) this.launch(claim);
    return claim !== undefined;
  }

  private launch(claim: PlannedClaim): void {
    this.wasIdle = false;
    this.track(this.send(claim));
  }

  private track(flight: Promise<void>): void {
    this.flights.track(flight);
  }

  /** Reads the queues of partitions, all of them before any of their work is claimed: the most urgent comes first. */
  private async read(partitions: readonly string[]): Promise<void> {
    const { backend, clock, onError } = this.options;
    const lanes = [...this.lanes];
    const pages = Array.from({ length: Math.ceil(lanes.length / LIMITS.maxLanesPerRead) }, (_, page) =>
      lanes.slice(page * LIMITS.maxLanesPerRead, (page + 1) * LIMITS.maxLanesPerRead),
    );
    const reads = partitions.flatMap((partition) => pages.map((laneIds) => ({ partition, laneIds })));
    const answers = await Promise.allSettled(reads.map((each) => backend.listQueueHeads(each)));
    if (this.stopped) return;
    const now = clock.now();
    answers.forEach((answer, index) => {
      // What could not be read is read again when the sweep comes round.
      if (answer.status === 'rejected') onError(answer.reason);
      else this.planner.read((reads[index] as (typeof reads)[number]).partition, answer.value, now);
    });
    this.pump();
  }

  private async send(claim: PlannedClaim): Promise<void> {
    const { backend, clock } = this.options;
    const requestedAt = clock.now();
    const ids = claim.lanes.map(({ count }) => this.stock.take(count));
    this.calls++;
    let results: readonly CommandResult[] | undefined;
    try {
      results = await backend.execute(commandsOf(claim, ids, this.claimant));
    } catch (error) {
      this.failed(claim, error);
    }
    if (results !== undefined) this.answered(claim, ids, results, requestedAt);
    // Others may follow the leads now, and so may this one.
    this.leads.released();
  }

  private answered(
    claim: PlannedClaim,
    ids: readonly LeaseIds[][],
    results: readonly CommandResult[],
    requestedAt: number,
  ): void {
    const { onError, onReclaimCapExceeded } = this.options;
    const brought = results.map(broughtBy);
    brought.forEach((each, index) => {
      const result = results[index];
      if (result?.ok === false) onError(result.error);
      if (each === undefined) return;
      if (each.reclaimCapExceeded.length > 0) onReclaimCapExceeded(each.reclaimCapExceeded);
      this.sizes.came(claim.lanes[index]?.place.laneId as string, each.executions);
      this.stock.giveBack(ids[index] as LeaseIds[], each.executions);
    });
    // First the books, then the work: a handler that returns at once must find its slot counted.
    this.planner.answered(claim, brought, this.options.clock.now());
    brought.forEach((each, index) => {
      const { place } = claim.lanes[index] as LaneClaim;
      for (const claimed of each?.executions ?? []) this.options.onClaimed(claimed, place.laneId, requestedAt);
    });
  }

  /** The call of a claim failed. What it claimed, if it ran, comes back when its leases lapse. */
  private failed(claim: PlannedClaim, error: unknown): void {
    if (error instanceof EngineError && error.code === 'call_timeout')
      for (const { place, count } of claim.lanes) this.sizes.late(place.laneId, count);
    this.planner.failed(claim, isRetryable(error), this.options.clock.now());
    this.options.onError(error);
  }
}
