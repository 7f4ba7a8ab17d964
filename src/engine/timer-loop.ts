/**
 * The timer loop applies what time makes due: delays end, leases lapse, deadlines pass, retention ends. It knows no
 * kinds of work: one operation selects what is due and applies it.
 *
 * It sleeps until the earliest due time. A `timer` wake brings a partition forward; a poll is the backstop, so that a
 * lost wake costs at most `pollIntervalMs`, or two and a half times that where nothing was due within a minute. Any
 * number of processes may run it at once.
 */
import { randomUUID } from 'node:crypto';
import { familyOf } from '../../model/families.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend, Wake } from '../backend/backend.js';
import { checkClock, checkFunction, checkNumber, checkOptionNames, needBackend } from '../backend/settings.js';
import { orWarn } from '../util/quietly.js';
import { spread, systemClock, type Cancel, type Clock } from './clock.js';
import { applyDuePass, DUE_LIMIT, EAGER_MS, MAX_REST_MS } from './due.js';
import { filterOf, type DueFilter, type Filter } from './due-filter.js';
import { isRetryable, retryDelayMs } from './retry.js';
import { ServerClock } from './server-clock.js';
import { SetAsideError } from '../backend/set-aside.js';
import { WakeSubscription } from './wake-subscription.js';

export interface TimerLoopOptions {
  /**
   * Longest time between two looks at a partition, ms, moved by up to 20 % each time; two and a half times as long where
   * nothing is due within a minute. Default 2 000.
   */
  readonly pollIntervalMs?: number;
  /**
   * Units of work of one pass over a partition. Default 100, at most 1 000. A purge costs four, and one for each 32 KiB of
   * steps; the end of a suspension four, and one for each further waitpoint; anything else one.
   */
  readonly pageSize?: number;
  /**
   * Called after every failed pass or subscription, which is tried again after a backoff of 100 ms to 10 s; and for damaged records
   * that a pass has quarantined. Default none.
   */
  readonly onError?: (error: unknown) => void;
  /**
   * Called with the distance, ms, when the clock of the server has jumped ahead or back by more than 5 s: what is to happen
   * at a time happens that much earlier or later. Found within half a minute where something is due. Default none.
   */
  readonly onClockJump?: (ms: number) => void;
  /**
   * Only the due work of these executions; that of others is passed over. What belongs to no execution, such as flows,
   * budgets, quotas and executions past their retention, every loop handles. While work of others is overdue, a new timer
   * may wait up to `pollIntervalMs` for this loop. Default all.
   */
  readonly filter?: DueFilter | undefined;
  /** Time and chance; for tests. */
  readonly clock?: Clock;
}

export const TIMER_LOOP_OPTIONS = {
  pollIntervalMs: true,
  pageSize: true,
  onError: true,
  onClockJump: true,
  filter: true,
  clock: true,
} as const satisfies Record<keyof TimerLoopOptions, true>;

export interface TimerLoop {
  /** Number of transitions that this loop has applied. */
  readonly applied: number;
  /** Ends the loop; resolves when passes in flight are done. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const WHERE = 'startTimerLoop()';
const POLL_INTERVAL_MS = 2_000;
const POLL_SPREAD = 0.2;
/** A partition in which nothing is due for this long is polled less often, so that idle processes cost little. */
const QUIET_FROM_MS = 60_000;
const QUIET_FACTOR = 2.5;
/** Concurrent passes, so that a start does not flood the store. */
const PARALLEL_LOOKS = 8;
/** A pass without an answer for this long, ms, keeps no other from its turn: its node may be away with many partitions. */
const SLOW_MS = MAX_REST_MS + 500;
/** Passes over one partition in a row before the others get their turn. */
const MAX_PASSES = 20;

/** One partition as the loop sees it. Times are of the local clock, ms. */
interface Place {
  readonly partition: string;
  lookAt: number;
  failures: number;
  /** Consecutive passes that found nothing although something was due by the clock. */
  early: number;
  looking: boolean;
  /** When the last call of the pass under way left. */
  askedAt: number;
  /** Total time of the passes since something was left, ms. */
  busyMs: number;
  /** The earliest due time in a wake during a pass, ms since the epoch by the server's clock. */
  wokenFor: number | undefined;
  /** With a filter: the position behind which the next pass continues; undefined for one from the start. */
  after: string | undefined;
}

class PartitionTimerLoop implements TimerLoop {
  applied = 0;
  private readonly owner = `timers-${randomUUID()}`;
  private readonly places = new Map<string, Place>();
  /** What the places were made from: the backend says when there are more. */
  private known: readonly string[] = [];
  private readonly clock: Clock;
  private readonly serverClock: ServerClock;
  private readonly pollIntervalMs: number;
  private readonly filter: Filter | undefined;
  private readonly wakes: WakeSubscription;
  private readonly looks = new Set<Promise<void>>();
  private timer: Cancel | undefined;
  private closing = false;

  constructor(
    private readonly backend: Backend,
    private readonly options: TimerLoopOptions,
  ) {
    this.clock = options.clock ?? systemClock;
    this.serverClock = new ServerClock(backend, this.clock, (ms) => this.notify(options.onClockJump, ms));
    this.pollIntervalMs = options.pollIntervalMs ?? POLL_INTERVAL_MS;
    this.filter = filterOf(WHERE, options.filter);
    this.wakes = new WakeSubscription({
      backend,
      clock: this.clock,
      onWake: (wake) => this.woken(wake),
      onLate: () => this.lookEverywhere(),
      onError: (error) => this.report(error),
    });
    this.findPlaces();
  }

  /** A partition that came into use is watched from then on. */
  private findPlaces(): void {
    const partitions = this.backend.partitionsInUse();
    if (partitions === this.known) return;
    this.known = partitions;
    for (const partition of partitions) this.placeOf(partition);
  }

  private placeOf(partition: string): Place {
    const known = this.places.get(partition);
    if (known !== undefined) return known;
    const lookAt = this.clock.now();
    const place: Place = {
      partition,
      lookAt,
      failures: 0,
      early: 0,
      looking: false,
      askedAt: 0,
      busyMs: 0,
      wokenFor: undefined,
      after: undefined,
    };
    this.places.set(partition, place);
    return place;
  }

  async start(): Promise<void> {
    // Wakes only speed things up: until they come, the poll finds everything.
    await this.wakes.add([]);
    this.turn();
  }

  async close(): Promise<void> {
    this.closing = true;
    this.timer?.();
    this.wakes.close();
    await Promise.all(this.looks);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private woken(wake: Wake): void {
    if (wake.kind === 'resync') this.lookEverywhere();
    // Also for a partition that this process has not used: a family can have come into use elsewhere.
    if (wake.kind === 'timer') this.bringForward(this.placeOf(wake.partition), wake.at);
  }

  /** Timer wakes may have been lost. */
  private lookEverywhere(): void {
    const now = this.clock.now();
    for (const place of this.places.values()) {
      if (place.looking) place.wokenFor = -Infinity;
      else place.lookAt = Math.min(place.lookAt, now);
    }
    this.turn();
  }

  private bringForward(place: Place, dueAt: number): void {
    if (this.closing) return;
    this.track(
      this.serverClock.now().then(
        (serverNow) => {
          // What can be due already mostly is, such as a walk: the time of the store is known only roughly.
          const leftMs = dueAt - serverNow > this.serverClock.behindMs ? dueAt - serverNow : 0;
          // A pass under way sets the next time when it ends, and would overwrite this.
          if (place.looking) place.wokenFor = Math.min(place.wokenFor ?? dueAt, dueAt);
          else place.lookAt = Math.min(place.lookAt, this.clock.now() + leftMs);
          this.turn();
        },
        (error: unknown) => this.report(error),
      ),
    );
  }

  /** Makes passes over every partition that is due, and sleeps until the next one is. */
  private turn(): void {
    this.timer?.();
    if (this.closing) return;
    this.findPlaces();
    const now = this.clock.now();
    const places = [...this.places.values()];
    const waiting = places.filter((place) => !place.looking);
    const due = waiting.filter((place) => place.lookAt <= now).sort((a, b) => a.lookAt - b.lookAt);
    const slowAt = places.flatMap(({ looking, askedAt }) =>
      looking && askedAt + SLOW_MS > now ? [askedAt + SLOW_MS] : [],
    );
    const room = Math.max(0, PARALLEL_LOOKS - slowAt.length);
    for (const place of due.slice(0, room)) this.track(this.look(place));
    // Partitions without room now get it when a pass ends, which starts a turn, or becomes slow.
    const times = due.length > room ? [...slowAt, now + SLOW_MS] : [];
    const next = Math.min(...times, ...waiting.flatMap(({ lookAt }) => (lookAt > now ? [lookAt] : [])));
    if (Number.isFinite(next)) this.timer = this.clock.after(next - now, () => this.turn());
  }

  private async look(place: Place): Promise<void> {
    place.looking = true;
    place.askedAt = this.clock.now();
    try {
      place.lookAt = this.clock.now() + (await this.apply(place));
      place.failures = 0;
    } catch (error) {
      place.failures += 1;
      // A permanent error needs no hurry, but the loop never ends, because an operator may fix the cause.
      const delayMs = retryDelayMs(this.clock, isRetryable(error) ? place.failures : place.failures + 6);
      place.lookAt = this.clock.now() + delayMs;
      this.report(error);
    }
    place.looking = false;
    const { wokenFor } = place;
    place.wokenFor = undefined;
    if (wokenFor !== undefined) this.bringForward(place, wokenFor);
    this.turn();
  }

  /** Applies all due work; returns for how long nothing will be due, ms. */
  private async apply(place: Place): Promise<number> {
    const limit = this.options.pageSize ?? DUE_LIMIT;
    const pass = { limit, owner: this.owner, random: this.clock.random, filter: this.filter };
    for (let count = 0; count < MAX_PASSES && !this.closing; count++) {
      const begun = this.clock.now();
      place.askedAt = begun;
      const { after: from } = place;
      const found = await applyDuePass(this.backend, place.partition, { ...pass, after: from });
      const { applied, more, nextDueAt, leftUntil, setAside } = found;
      place.after = found.after;
      this.applied += applied;
      if (applied > 0) place.early = 0;
      if (setAside.length > 0) this.report(new SetAsideError(place.partition, setAside));
      if (leftUntil !== undefined) return Math.min(await this.leftMs(place, leftUntil), this.pollIntervalMs);
      if (more) {
        const tookMs = this.clock.now() - begun;
        place.busyMs += tookMs;
        // The store has other callers to serve: over a long backlog a loop rests as long as its last call took. If this
        // process itself was slow, because its event loop was blocked, that would be too long a rest.
        if (place.busyMs > EAGER_MS) await this.rest(Math.min(tookMs, MAX_REST_MS));
        continue;
      }
      place.busyMs = 0;
      const leftMs = nextDueAt === undefined ? Infinity : await this.leftMs(place, nextDueAt);
      // No work waits for the lapse of a worker: reads decide by the time which workers are alive.
      const isQuiet = (leftMs > QUIET_FROM_MS && this.filter === undefined) || familyOf(place.partition) === 'worker';
      const pollMs = this.pollIntervalMs * (isQuiet ? QUIET_FACTOR : 1);
      return Math.min(spread(this.clock, pollMs, POLL_SPREAD), leftMs);
    }
    return 0;
  }

  /**
   * Time until a server time, after a pass that found nothing. If the time has come by the clock, the server's clock
   * has stepped back since it was measured, or that of this node lags behind: it is measured again, and passes that
   * find nothing again rest longer each time, so that the loop never spins.
   */
  private async leftMs(place: Place, serverAt: number): Promise<number> {
    const leftMs = serverAt - (await this.serverClock.now());
    if (leftMs > 0) {
      place.early = 0;
      return leftMs;
    }
    const restMs = Math.min(2 ** place.early++, MAX_REST_MS);
    return Math.max(restMs, serverAt - (await this.serverClock.nowMeasured()));
  }

  private rest(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => this.clock.after(ms, resolve));
  }

  private report(error: unknown): void {
    this.notify(this.options.onError, error);
  }

  private notify<Value>(listener: ((value: Value) => void) | undefined, value: Value): void {
    if (listener !== undefined && !this.closing) orWarn('A listener of the timer loop', () => listener(value));
  }

  private track(work: Promise<void>): void {
    this.looks.add(work);
    void work.finally(() => this.looks.delete(work));
  }
}

/**
 * @param where the function that takes the options, for the message
 * @throws EngineError `invalid_input` for an unknown or invalid option
 */
export function checkTimerLoopOptions(where: string, options: TimerLoopOptions): void {
  checkOptionNames(where, options, Object.keys(TIMER_LOOP_OPTIONS));
  for (const name of ['onError', 'onClockJump'] as const) checkFunction(where, name, options[name]);
  checkNumber(where, 'pollIntervalMs', options.pollIntervalMs, { min: 1, max: LIMITS.maxDurationMs });
  checkNumber(where, 'pageSize', options.pageSize, { min: 1, max: LIMITS.maxPageSize, isWhole: true });
  checkClock(where, options.clock);
  filterOf(where, options.filter);
}

/**
 * Starts the timer loop over all partitions of a backend; resolves once it runs. Run at least one per deployment:
 * workers start one unless told not to.
 *
 * @throws EngineError `invalid_input` for what is no backend, and for an unknown or invalid option
 * @example
 * await using timers = await startTimerLoop(backend, { onError: console.error });
 */
export async function startTimerLoop(backend: Backend, options: TimerLoopOptions = {}): Promise<TimerLoop> {
  needBackend(WHERE, backend);
  checkTimerLoopOptions(WHERE, options);
  const loop = new PartitionTimerLoop(backend, options);
  await loop.start();
  return loop;
}
