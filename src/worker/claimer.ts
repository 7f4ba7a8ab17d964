/**
 * Claiming: does what the claim machine says, and tells it what became of it. A wake says where work is; a sweep
 * over everything, every 5 seconds, finds what a lost wake did not say.
 */
import { EngineError } from '../../model/errors.js';
import type { Command } from '../../model/machine.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { ClaimedExecution } from '../../model/schedule/claim.js';
import type { Backend, CommandResult, Wake } from '../backend.js';
import { spread, type Cancel, type Clock } from '../engine/clock.js';
import { knownWork, type KnownWork } from '../engine/known-work.js';
import { retryDelayMs } from '../engine/retry.js';
import { ClaimMachine, pairOf, type Ask, type ClaimPhase } from './claim-machine.js';
import { InputSizes } from './input-sizes.js';

export interface ClaimerOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly ids: () => string;
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[];
  readonly slots: number;
  readonly claimAhead: number;
  readonly leaseTtlMs: number;
  readonly sweepIntervalMs: number;
  readonly onClaimed: (claimed: ClaimedExecution, laneId: string, requestedAt: number) => void;
  /** Executions that a claim ended because their workers were lost too often. */
  readonly onReclaimCapExceeded: (executionIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
  /** A slot is free, and nothing says that there is work. Answers false to be asked again. */
  readonly onIdle: () => boolean;
}

type WorkWake = Extract<Wake, { kind: 'work' }>;

const SWEEP_SPREAD = 0.2;
/**
 * Head start that a worker gives to others, and how long it does after it met work that it could not do, ms. The head
 * start is drawn anew each time, so that of two workers that meet each other's work it is not always the same one that
 * comes first.
 */
const GIVE_WAY_MS = 50;
const GIVE_WAY_MIN = 0.5;
const GIVE_WAY_MAX = 2;
const GIVES_WAY_FOR_MS = 600_000;

export class Claimer {
  /** Claims made; most of them travel with other calls. */
  calls = 0;
  private readonly machine: ClaimMachine;
  private readonly known: KnownWork;
  private readonly sizes = new InputSizes();
  private readonly flights = new Set<Promise<void>>();
  private sweeping: Cancel | undefined;
  private readonly timers = new Set<Cancel>();
  /** Pairs of lane and partition at which it looks when others have had time to. */
  private readonly givingWay = new Set<string>();
  private readonly givesWayUntil = new Map<string, number>();
  private readonly lanes: Set<string>;
  private readonly offered: ReadonlySet<string>;
  private readonly unsubscribes: (() => void)[] = [];
  private started = false;
  private stopped = false;
  private wasIdle = false;
  private pumpsSoon = false;

  constructor(private readonly options: ClaimerOptions) {
    this.lanes = new Set(options.lanes);
    this.known = knownWork(options.backend);
    this.offered = new Set(options.capabilities);
    const partitions = Array.from({ length: options.backend.partitions.count }, (_, index) => partitionKeyOf(index));
    // Workers that start together begin at different places.
    const from = Math.floor(options.clock.random() * partitions.length);
    this.machine = new ClaimMachine({
      ...options,
      partitions: [...partitions.slice(from), ...partitions.slice(0, from)],
      mostAtOnce: (laneId) => this.sizes.most(laneId),
      marks: this.known.marksFor(options.capabilities),
    });
  }

  get phase(): ClaimPhase {
    return this.machine.phase;
  }

  /** Subscribes, and looks everywhere once; resolves when the subscription stands or has failed once. */
  async start(): Promise<void> {
    this.started = true;
    this.unsubscribes.push(this.known.listen(() => this.pump()));
    await this.subscribe([...this.lanes], 1);
    this.sweep();
  }

  /** Serves one more lane from now on. */
  serve(laneId: string): void {
    if (this.lanes.has(laneId)) return;
    this.lanes.add(laneId);
    this.machine.hints.add(laneId);
    // What came while nobody listened was not announced.
    if (this.started) void this.subscribe([laneId], 1).then(() => this.lookEverywhere());
  }

  private async subscribe(lanes: readonly string[], tries: number): Promise<void> {
    if (this.stopped) return;
    try {
      const unsubscribe = await this.options.backend.onWake(
        lanes,
        (wake) => {
          if (wake.kind === 'work' && wake.requiredCapabilities.every((token) => this.offered.has(token)))
            this.woken(wake);
          // Wakes may have been lost: anything may be anywhere.
          else if (wake.kind === 'resync') this.lookEverywhere();
        },
        this.options.capabilities,
      );
      if (this.stopped) unsubscribe();
      else this.unsubscribes.push(unsubscribe);
      // What came while nobody listened was not announced.
      if (tries > 1) this.lookEverywhere();
    } catch (error) {
      this.options.onError(error);
      // The sweep finds everything meanwhile, only later.
      this.later(retryDelayMs(this.options.clock, tries), () => void this.subscribe(lanes, tries + 1));
    }
  }

  private woken({ laneId, partition, requiredCapabilities, arriving }: WorkWake): void {
    const givesWay =
      this.givesWayUntil.size > 0 && (this.givesWayUntil.get(laneId) ?? -Infinity) > this.options.clock.now();
    if (arriving === undefined) {
      if (givesWay) this.giveWay(laneId, partition);
      else this.look(laneId, partition, requiredCapabilities);
    } else if (!givesWay) {
      this.claimAlong(laneId, partition, arriving);
    }
  }

  /** Claims work on its way out of this process in the call that carries it. What is left behind is announced later. */
  private claimAlong(laneId: string, partition: string, arriving: number): void {
    const ask = this.machine.askAlong(laneId, partition, arriving);
    if (ask !== undefined) this.launch(ask);
  }

  /**
   * This lane has work that this worker has no handler for: it looks again a moment later, and for some minutes gives
   * way to others when the lane has new work, so that those who can do it get it.
   */
  stepBack(laneId: string, partition: string): void {
    this.givesWayUntil.set(laneId, this.options.clock.now() + GIVES_WAY_FOR_MS);
    this.machine.avoid(laneId, partition);
    this.giveWay(laneId, partition);
  }

  private look(laneId: string, partition: string, needs?: readonly string[]): void {
    this.machine.heed(laneId, partition, needs);
    this.pump();
  }

  /** Looks there later. When it is to do so already, more news of the place does not make it sooner. */
  private giveWay(laneId: string, partition: string): void {
    const pair = pairOf(laneId, partition);
    if (this.givingWay.has(pair)) return;
    const share = GIVE_WAY_MIN + (GIVE_WAY_MAX - GIVE_WAY_MIN) * this.options.clock.random();
    this.givingWay.add(pair);
    this.later(GIVE_WAY_MS * share, () => {
      this.givingWay.delete(pair);
      this.look(laneId, partition);
    });
  }

  private later(ms: number, fn: () => void): void {
    if (this.stopped) return;
    const cancel = this.options.clock.after(ms, () => {
      this.timers.delete(cancel);
      fn();
    });
    this.timers.add(cancel);
  }

  private lookEverywhere(): void {
    this.machine.hints.markAll();
    this.pump();
  }

  private sweep(): void {
    if (this.stopped) return;
    this.lookEverywhere();
    this.sweeping = this.options.clock.after(
      spread(this.options.clock, this.options.sweepIntervalMs, SWEEP_SPREAD),
      () => this.sweep(),
    );
  }

  /** Sends every claim for which there is room and reason. */
  pump(): void {
    for (let ask = this.machine.ask(); ask !== undefined; ask = this.machine.ask()) this.launch(ask);
    this.wasIdle = this.machine.phase === 'idle' && (this.wasIdle || this.options.onIdle());
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

  private launch(ask: Ask): void {
    this.wasIdle = false;
    const flight = this.send(ask);
    this.flights.add(flight);
    void flight.finally(() => this.flights.delete(flight));
  }

  private async send(ask: Ask): Promise<void> {
    const requestedAt = this.options.clock.now();
    this.calls++;
    try {
      this.answered(ask, await this.options.backend.execute(this.commandsOf(ask)), requestedAt);
    } catch (error) {
      this.failed(ask, error);
    }
    // Others may look now, and so may this one.
    this.known.stir();
  }

  private commandsOf(ask: Ask): Command[] {
    const { ids, workerId, workerInstanceId, capabilities, leaseTtlMs } = this.options;
    return ask.lanes.map(
      ({ laneId, count }): Command => ({
        name: 'claimForWorker',
        args: {
          partition: ask.partition,
          laneId,
          workerId,
          workerInstanceId,
          workerCapabilities: [...capabilities],
          leaseTtlMs,
          claims: Array.from({ length: count }, () => ({ leaseId: ids(), attemptId: ids() })),
        },
      }),
    );
  }

  private answered(ask: Ask, results: readonly CommandResult[], requestedAt: number): void {
    let ended = 0;
    const claims = results.map((result) => {
      if (!result.ok) {
        this.options.onError(result.error);
        return undefined;
      }
      const { outcome } = result;
      if (outcome.kind !== 'claimed' && outcome.kind !== 'no_work') return undefined;
      if (outcome.reclaimCapExceeded.length > 0) this.options.onReclaimCapExceeded(outcome.reclaimCapExceeded);
      ended += outcome.reclaimCapExceeded.length;
      return outcome.kind === 'claimed' ? outcome.executions : [];
    });
    claims.forEach(
      (executions, index) => executions && this.sizes.came(ask.lanes[index]?.laneId as string, executions),
    );
    // First the books, then the work: a handler that returns at once must find its slot counted.
    const delayMs = this.machine.answered(
      ask,
      claims.map((executions) => executions?.length),
    );
    if (delayMs !== undefined) this.later(delayMs, () => this.pump());
    // What the claim ended took places that work behind it could have had: look again.
    if (ended > 0) for (const { laneId } of ask.lanes) this.machine.hints.mark(laneId, ask.partition);
    claims.forEach((executions, index) => {
      const laneId = ask.lanes[index]?.laneId as string;
      for (const claimed of executions ?? []) this.options.onClaimed(claimed, laneId, requestedAt);
    });
  }

  /** The call of an ask failed. What it claimed, if it ran, comes back when its leases lapse. */
  private failed(ask: Ask, error: unknown): void {
    if (error instanceof EngineError && error.code === 'call_timeout')
      for (const { laneId, count } of ask.lanes) this.sizes.late(laneId, count);
    const delayMs = this.machine.failed(ask);
    this.options.onError(error);
    this.later(delayMs, () => this.pump());
  }

  /** A task in hand came to its end: its slot is free. */
  finished(partition: string): void {
    this.machine.finished(partition);
  }

  /** No more claims; resolves when those under way are answered. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.machine.stop();
    this.sweeping?.();
    for (const cancel of this.timers) cancel();
    for (const unsubscribe of this.unsubscribes) unsubscribe();
    while (this.flights.size > 0) await Promise.all(this.flights);
  }
}
