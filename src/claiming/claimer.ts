/**
 * Claims for a worker: sends the claims of the planner, and passes it the answers. Wakes tell where work is; the
 * planner's sweep finds work after a lost wake.
 */
import { present } from '../../model/core/present.js';
import { LIMITS } from '../../model/limits.js';
import { EngineError } from '../../model/errors.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend, CommandResult, Wake } from '../backend/backend.js';
import type { Clock } from '../engine/clock.js';
import { localOffers, type LocalOffer } from '../engine/local-offers.js';
import { isRetryable } from '../engine/retry.js';
import { executionsSetAside } from '../backend/set-aside.js';
import { InFlight } from '../util/in-flight.js';
import { atTurnEnd } from '../util/turn-end.js';
import { Abilities } from './abilities.js';
import { broughtBy, commandsOf, type Claimant } from './claim-call.js';
import { InputSizes } from './input-sizes.js';
import { lanePagesOf } from './lane-pages.js';
import { LeaseIdStock, type LeaseIds } from './lease-ids.js';
import { leadsOf, type Leads } from './leads.js';
import { MeteredClaims } from './metered-claims.js';
import type { PlannedClaim, QueueRead } from './plan.js';
import { Planner, type ClaimingMode } from './planner.js';
import { PollTimer } from './poll-timer.js';
import { WakeSubscription } from '../engine/wake-subscription.js';

export interface ClaimerOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[];
  /**
   * The kinds of work that the worker can run now; undefined stands for any kind. More than 256 kinds count as any.
   * Read again by `serve` and `kindsChanged`.
   */
  readonly kinds: () => readonly string[] | undefined;
  readonly slots: number;
  readonly claimAhead: number;
  readonly leaseTtlMs: number;
  /** Whether attempt timeouts start with `beginAttempt`. Default false: with the claim. */
  readonly beginsLater?: boolean;
  readonly sweepIntervalMs: number;
  /** Called for every claimed execution. */
  readonly onClaimed: (claimed: ClaimedExecution, laneId: string, requestedAt: number) => void;
  /** Called with executions that a claim failed because they lost their workers too often. */
  readonly onReclaimCapExceeded: (executionIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
  /** Called when a slot is free and no work is known. Return false to be called again. */
  readonly onIdle: () => boolean;
}

export class Claimer {
  /** Number of claims sent; most share a call with other commands. */
  calls = 0;
  private readonly planner: Planner;
  private readonly leads: Leads;
  private readonly sizes = new InputSizes();
  private readonly leaseIds: LeaseIdStock;
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
    this.leaseIds = new LeaseIdStock(options.ids);
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
    this.leave = this.leads.onRelease(() => this.pumpSoon());
    this.metered = new MeteredClaims({
      ...options,
      lanes: () => [...this.lanes],
      claimant: () => this.claimant,
      abilities: () => this.abilities(),
      hasRoom: () => this.planner.hasRoom,
      reserve: ({ partition, laneId }, wanted) => this.planner.reserve(partition, laneId, wanted),
      settle: ({ partition, laneId }, count, got) => this.planner.settleReserved(partition, laneId, count, got),
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

  /**
   * Subscribes to wakes, and checks every place once; resolves when the subscription is established or has failed once.
   */
  async start(): Promise<void> {
    this.started = true;
    await this.subscription.add([...this.lanes]);
    if (this.stopped) return;
    this.planner.start(this.options.clock.now());
    this.metered.start();
    this.stopTaking = localOffers(this.options.backend).listen((offer) => this.claimOffer(offer));
    this.pump();
  }

  /** Adds a lane, and reads the kinds of work again. */
  serve(laneId: string): void {
    if (!this.lanes.has(laneId)) {
      this.lanes.add(laneId);
      this.planner.serve(laneId, this.options.clock.now());
      // Work that came before the subscription was not announced.
      if (this.started) void this.subscription.add([laneId]).then(() => this.look([laneId]));
    }
    this.kindsChanged([laneId]);
  }

  /**
   * Call this when `kinds` may have changed. @param laneIds the lanes that may have work of new kinds; default: all. Such
   * work in other lanes is found by the sweep.
   */
  kindsChanged(laneIds?: readonly string[]): void {
    if (this.stopped) return;
    this.claimant = this.claimantNow();
    const served = laneIds?.filter((laneId) => this.lanes.has(laneId));
    this.planner.setAbilities(this.abilities(), this.options.clock.now(), served);
    if (this.started) this.pump();
  }

  /** The place has work that this worker cannot run: other workers get a head start in the lane, for some minutes. */
  yieldTo(laneId: string, partition: string): void {
    this.planner.yieldTo({ laneId, partition }, this.options.clock.now());
    this.pumpSoon();
  }

  /** Limits the executions that wait in the worker; never above `claimAhead`. */
  limitAhead(count: number): void {
    this.planner.limitAhead(count);
  }

  /** Pauses (true) or resumes (false) claiming. */
  setPaused(resting: boolean): void {
    if (resting) {
      this.planner.pause();
      return;
    }
    this.planner.resume();
    this.pump();
  }

  /** Call this when a lease is over: its execution completed, or the worker no longer owns it. */
  ended(leaseId: string, isCompleted: boolean): void {
    this.metered.ended(leaseId, isCompleted);
  }

  /** Call this when the number of claimed executions of a lane that wait for their inputs changes. */
  inputsAwaited(laneId: string, change: number): void {
    this.planner.inputsAwaited(laneId, change);
    if (change < 0) this.pumpSoon();
  }

  /** Call this when an execution in hand has ended: its slot is free. */
  finished(partition: string): void {
    this.planner.finished(partition);
  }

  /** Sends every claim for which there is room and reason. */
  pump(): void {
    this.metered.flush();
    if (this.isSilent) return;
    // Metered work first, as far as its policies admit it; other work gets the remaining room.
    this.metered.pump();
    const { claims, reads, pollAt } = this.planner.plan(this.options.clock.now());
    if (reads.length > 0) this.track(this.read(reads));
    for (const claim of claims) this.launch(claim);
    this.timer.by(pollAt);
    if (claims.length > 0) this.wasIdle = false;
    this.wasIdle = this.mode === 'idle' && (this.wasIdle || this.options.onIdle());
  }

  /**
   * `pump` at the end of this turn, so that the slots freed in it are filled by one claim, in the call with their
   * endings.
   */
  pumpSoon(): void {
    if (this.pumpsSoon) return;
    this.pumpsSoon = true;
    atTurnEnd(() => {
      this.pumpsSoon = false;
      this.pump();
    });
  }

  /** Stops claiming; resolves when the claims in flight are answered. */
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

  /** Returns the quota slots of completed executions; resolves when the policies have them. */
  async close(): Promise<void> {
    this.metered.close();
    await this.flights.settled();
  }

  /** The arguments that all claims of the worker share, as of now. */
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

  /** Whether nothing may be claimed: the worker has stopped, or cannot run anything. */
  private get isSilent(): boolean {
    return this.stopped || this.claimant.kinds?.length === 0;
  }

  private look(lanes: readonly string[]): void {
    if (this.stopped) return;
    this.planner.look(lanes, this.options.clock.now());
    this.metered.look();
    this.pump();
  }

  private woken(wake: Wake): void {
    if (this.isSilent) return;
    const now = this.options.clock.now();
    // Backends send this wake when they had to subscribe again.
    if ((wake.kind as string) === 'resync') {
      this.planner.resynced(now);
      this.metered.resynced();
    } else if (wake.kind === 'metered' || wake.kind === 'room_for' || wake.kind === 'budget_room')
      this.metered.woken(wake);
    else if (wake.kind !== 'work') return;
    else if (wake.arriving === undefined) this.planner.woken(wake, now);
    else {
      // Claims work that is leaving this process in the call that carries it.
      const claim = this.planner.arriving(wake, now);
      if (claim !== undefined) this.launch(claim);
      return;
    }
    this.pump();
  }

  /** Claims work that a command of this process may make claimable, in the call that carries the command. */
  private claimOffer(offer: LocalOffer): boolean {
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

  /** Reads queues, all before any of their work is claimed, so that the most urgent work comes first. */
  private async read(queues: readonly QueueRead[]): Promise<void> {
    const { backend, clock, onError } = this.options;
    const all = lanePagesOf([...this.lanes]);
    const reads = queues.flatMap(({ partition, laneIds }) =>
      (laneIds === undefined ? all : lanePagesOf(laneIds)).map((page) => ({ partition, laneIds: page })),
    );
    const answers = await Promise.allSettled(reads.map((each) => backend.listQueueHeads(each)));
    if (this.stopped) return;
    const now = clock.now();
    answers.forEach((answer, index) => {
      // A partition that could not be read is read again by the sweep.
      if (answer.status === 'rejected') onError(answer.reason);
      else this.planner.read(present(reads[index]).partition, answer.value, now);
    });
    this.pump();
  }

  private async send(claim: PlannedClaim): Promise<void> {
    const { backend, clock } = this.options;
    const requestedAt = clock.now();
    const ids = claim.lanes.map(({ count }) => this.leaseIds.take(count));
    this.calls++;
    let results: readonly CommandResult[] | undefined;
    try {
      results = await backend.execute(commandsOf(claim, ids, this.claimant));
    } catch (error) {
      this.failed(claim, error);
    }
    if (results !== undefined) this.answered(claim, ids, results, requestedAt);
    // The handlers of the work begin first; handlers that end at once make room for the next plan.
    await undefined;
    // Other claimers, and this one, may follow the leads now.
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
    let isWide = false;
    brought.forEach((each, index) => {
      const result = results[index];
      if (result?.ok === false) {
        // A large claim runs in parts, and one of them can fail as a whole call does.
        this.noteLate(claim.lanes.slice(index, index + 1), result.error);
        isWide ||= isRetryable(result.error);
        onError(result.error);
      }
      if (each === undefined) return;
      if (each.setAside.length > 0) onError(executionsSetAside(claim.partition, each.setAside));
      if (each.reclaimCapExceeded.length > 0) onReclaimCapExceeded(each.reclaimCapExceeded);
      this.sizes.came(present(claim.lanes[index]?.place.laneId), each.executions);
      this.leaseIds.giveBack(present(ids[index]), each.executions);
    });
    // The planner is updated before the work is handed on: a handler that returns at once must find its slot counted.
    this.planner.answered(claim, brought, this.options.clock.now(), isWide);
    brought.forEach((each, index) => {
      const { place } = present(claim.lanes[index]);
      for (const claimed of each?.executions ?? []) this.options.onClaimed(claimed, place.laneId, requestedAt);
    });
  }

  /** Handles a failed call. If it claimed work all the same, that work returns when its leases lapse. */
  private failed(claim: PlannedClaim, error: unknown): void {
    this.noteLate(claim.lanes, error);
    this.planner.failed(claim, isRetryable(error), this.options.clock.now());
    this.options.onError(error);
  }

  private noteLate(lanes: PlannedClaim['lanes'], error: unknown): void {
    if (error instanceof EngineError && error.code === 'call_timeout')
      for (const { place, count } of lanes) this.sizes.late(place.laneId, count);
  }
}
