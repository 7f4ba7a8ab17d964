/**
 * All tails of a process on the streams of one execution. Tails at the same place share a read, and all share the
 * notices: an append costs one notice and one read, for any number of tails.
 */
import type { StreamFrames } from '../../model/stream/reads.js';
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { isRetryable, retryDelayMs } from '../engine/retry.js';
import { onAbort } from '../shared/abort-listeners.js';
import { ExecutionWatch } from './execution-watch.js';
import { pageOf, placeKey, type TailPage, type TailPlace } from './page.js';

/** Notices continue for this time after the last tail, ms, because a reader returns for its next page. */
const LINGER_MS = 1_000;
const MAX_BACKOFF_MS = 1_000;

export interface Wanted extends TailPlace {
  /** How long to wait, ms; absent: until there is an answer. */
  readonly blockMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly isNews: (page: StreamFrames) => boolean;
}

/** Tails at one place with the same filter, which are served together. */
interface Spot {
  readonly key: string;
  readonly place: TailPlace;
  readonly isNews: (page: StreamFrames) => boolean;
  readonly waiters: Set<Waiter>;
  /** Accepts no more waiters; new ones get another spot. */
  readonly shut: () => void;
  /** The page of the last read, and why the last read failed. */
  last: StreamFrames | undefined;
  fault: unknown;
  failures: number;
  /** Ends the pause between two reads. */
  wake: (() => void) | undefined;
}

interface Waiter {
  readonly settle: (page: TailPage) => void;
  readonly fail: (error: unknown) => void;
}

export interface ExecutionTailsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly executionId: string;
  /** No tail has used this for a while. */
  readonly onUnused: () => void;
}

export class ExecutionTails {
  /** By filter, then by place. */
  private readonly spots = new Map<Spot['isNews'], Map<string, Spot>>();
  private readonly reads = new Map<string, { readonly at: number; readonly page: Promise<StreamFrames> }>();
  /** By place: the page read while notices were active, and the number of notices by then. */
  private readonly ends = new Map<string, { readonly at: number; readonly page: StreamFrames }>();
  /** Number of notices so far. */
  private notices = 0;
  private users = 0;
  private watch: ExecutionWatch | undefined;
  private lingering: Cancel | undefined;

  constructor(private readonly options: ExecutionTailsOptions) {}

  /** Adds a user. The returned function, called once, removes it; some time after the last one, notices end. */
  use(): () => void {
    this.lingering?.();
    this.users++;
    return () => {
      if (--this.users > 0) return;
      if (this.watch === undefined) this.end();
      else this.lingering = this.options.clock.after(LINGER_MS, () => this.end());
    };
  }

  /**
   * The page after a place, as soon as there is news or the time is over. Temporary faults are waited out until then.
   */
  next(wanted: Wanted): Promise<TailPage> {
    const { blockMs, signal } = wanted;
    if (blockMs === 0) return this.read(wanted, placeKey(wanted)).then((page) => pageOf(page, wanted));
    return new Promise<TailPage>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const spot = this.spotOf(wanted);
      let [cancelTimer, stopListening]: [Cancel | undefined, (() => void) | undefined] = [undefined, undefined];
      const left = (): boolean => {
        cancelTimer?.();
        stopListening?.();
        const waited = spot.waiters.delete(waiter);
        if (spot.waiters.size > 0) return waited;
        spot.shut();
        spot.wake?.();
        return waited;
      };
      const waiter: Waiter = {
        settle: (page) => left() && resolve(page),
        fail: (error) => left() && reject(error),
      };
      spot.waiters.add(waiter);
      if (blockMs !== undefined) cancelTimer = this.options.clock.after(blockMs, () => this.timeUp(spot, waiter));
      if (signal !== undefined) stopListening = onAbort(signal, () => waiter.fail(signal.reason));
    });
  }

  /** The spot of tails with this filter at this place; created if there is none. */
  private spotOf({ isNews, attemptIndex, after, limit, visibility }: Wanted): Spot {
    let byPlace = this.spots.get(isNews);
    if (byPlace === undefined) this.spots.set(isNews, (byPlace = new Map<string, Spot>()));
    const place: TailPlace = { attemptIndex, after, limit, visibility };
    const key = placeKey(place);
    const known = byPlace.get(key);
    if (known !== undefined) return known;
    const waiters = new Set<Waiter>();
    const shut = (): void => void (byPlace.get(key) === made && byPlace.delete(key));
    const made: Spot = {
      key,
      place,
      isNews,
      waiters,
      shut,
      last: undefined,
      fault: undefined,
      failures: 0,
      wake: undefined,
    };
    byPlace.set(key, made);
    queueMicrotask(() => void this.serve(made));
    return made;
  }

  private timeUp({ last, fault, place, key }: Spot, waiter: Waiter): void {
    if (fault === undefined && last !== undefined) waiter.settle(pageOf(last, place));
    else if (fault !== undefined) waiter.fail(fault);
    // The store was not asked yet.
    else this.read(place, key).then((page) => waiter.settle(pageOf(page, place)), waiter.fail);
  }

  /** Reads a place whenever there may be news, until all waiters are served. Never rejects. */
  private async serve(spot: Spot): Promise<void> {
    while (spot.waiters.size > 0) {
      const seen = this.notices;
      await this.look(spot);
      if (spot.waiters.size === 0) return;
      if (spot.fault !== undefined) await this.rest(spot, this.backoffMs(spot));
      else if (this.notices === seen) await this.rest(spot);
    }
  }

  private async look(spot: Spot): Promise<void> {
    const { place, key, isNews } = spot;
    try {
      const page = this.knownEnd(key) ?? (await this.read(place, key));
      spot.last = page;
      spot.fault = undefined;
      spot.failures = 0;
      if (isNews(page)) {
        const answer = pageOf(page, place);
        for (const { settle } of [...spot.waiters]) settle(answer);
      } else this.watched();
    } catch (error) {
      spot.failures++;
      spot.fault = error;
      if (!isRetryable(error)) for (const { fail } of [...spot.waiters]) fail(error);
    }
  }

  private backoffMs({ failures }: Spot): number {
    return Math.min(MAX_BACKOFF_MS, retryDelayMs(this.options.clock, failures));
  }

  private watched(): void {
    if (this.watch !== undefined || this.users === 0) return;
    const { backend, clock, executionId } = this.options;
    this.watch = new ExecutionWatch({ backend, clock, executionId, onNotice: () => this.noticed() });
    this.watch.begin();
  }

  private noticed(): void {
    this.notices++;
    this.ends.clear();
    for (const byPlace of this.spots.values()) for (const { wake } of [...byPlace.values()]) wake?.();
  }

  /** Waits for a notice, or for a time. */
  private rest(spot: Spot, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? undefined : this.options.clock.after(ms, () => spot.wake?.());
      spot.wake = () => {
        cancel?.();
        spot.wake = undefined;
        resolve();
      };
    });
  }

  /** The page after a place, if it was read to its end and no notice came since. */
  private knownEnd(key: string): StreamFrames | undefined {
    const known = this.ends.get(key);
    return known?.at === this.notices && this.watch?.isActive ? known.page : undefined;
  }

  private read(place: TailPlace, key: string): Promise<StreamFrames> {
    const at = this.notices;
    const known = this.reads.get(key);
    if (known?.at === at) return known.page;
    const { backend, executionId } = this.options;
    const wasActive = this.watch?.isActive ?? false;
    const { attemptIndex, after, limit, visibility } = place;
    const page = backend.readStream({ executionId, attemptIndex, after, limit, visibility });
    const reading = { at, page };
    this.reads.set(key, reading);
    const forget = (): void => void (this.reads.get(key) === reading && this.reads.delete(key));
    page.then((frames) => {
      forget();
      if (frames.frames.length > 0) this.watch?.pollSoon();
      if (wasActive && frames.nextCursor === undefined) this.noteEnd(place, at, frames);
    }, forget);
    return page;
  }

  /** There is nothing after the last frame of this page until a notice comes. */
  private noteEnd(place: TailPlace, at: number, page: StreamFrames): void {
    if (at !== this.notices) return;
    const after = page.frames.at(-1)?.id ?? place.after;
    this.ends.set(placeKey({ ...place, after }), { at, page: { ...page, frames: [] } });
  }

  private end(): void {
    this.watch?.end();
    this.watch = undefined;
    this.ends.clear();
    this.options.onUnused();
  }
}
