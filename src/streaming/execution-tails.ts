/**
 * All tails of a process on the streams of one execution. Those that are at the same place share one read, and all share
 * the notices: however many they are, an append costs one notice and one read.
 */
import type { StreamFrames } from '../../model/stream/reads.js';
import type { Backend } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { isRetryable, retryDelayMs } from '../engine/retry.js';
import { onAbort } from '../shared/abort-listeners.js';
import { ExecutionWatch } from './execution-watch.js';
import { pageOf, placeKey, type TailPage, type TailPlace } from './page.js';

/** Notices are kept up for so long after the last tail, ms: a reader comes back for its next page. */
const LINGER_MS = 1_000;
const MAX_BACKOFF_MS = 1_000;

export interface Wanted extends TailPlace {
  /** How long to wait, ms; absent: until there is an answer. */
  readonly blockMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly isNews: (page: StreamFrames) => boolean;
}

/** Tails at one place, which want the same: they are served together. */
interface Spot {
  readonly key: string;
  readonly place: TailPlace;
  readonly isNews: (page: StreamFrames) => boolean;
  readonly waiters: Set<Waiter>;
  /** Takes no more waiters: those that come now have a spot of their own. */
  readonly shut: () => void;
  /** What was there at the last look, and why the last look failed. */
  last: StreamFrames | undefined;
  trouble: unknown;
  failures: number;
  /** Goes on, while it rests. */
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
  /** Nobody has used this for a while. */
  readonly onUnused: () => void;
}

export class ExecutionTails {
  /** By what they want to be told of, then by place. */
  private readonly spots = new Map<Spot['isNews'], Map<string, Spot>>();
  private readonly reads = new Map<string, { readonly at: number; readonly page: Promise<StreamFrames> }>();
  /** By place: what was read there while notices stood, and of which notice that was. */
  private readonly ends = new Map<string, { readonly at: number; readonly page: StreamFrames }>();
  /** Notices so far. */
  private notices = 0;
  private users = 0;
  private watch: ExecutionWatch | undefined;
  private lingering: Cancel | undefined;

  constructor(private readonly options: ExecutionTailsOptions) {}

  /** One user more. The returned function, called once, takes it away; with the last one, and after a while, notices end. */
  use(): () => void {
    this.lingering?.();
    this.users++;
    return () => {
      if (--this.users > 0) return;
      if (this.watch === undefined) this.end();
      else this.lingering = this.options.clock.after(LINGER_MS, () => this.end());
    };
  }

  /** The page behind a place, as soon as there is news or the time is over. Faults that pass are waited out till then. */
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

  /** Where those wait that want this; made, and looked at, when nobody did. */
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
      trouble: undefined,
      failures: 0,
      wake: undefined,
    };
    byPlace.set(key, made);
    queueMicrotask(() => void this.serve(made));
    return made;
  }

  private timeUp({ last, trouble, place, key }: Spot, waiter: Waiter): void {
    if (trouble === undefined && last !== undefined) waiter.settle(pageOf(last, place));
    else if (trouble !== undefined) waiter.fail(trouble);
    // The store was not asked yet.
    else this.read(place, key).then((page) => waiter.settle(pageOf(page, place)), waiter.fail);
  }

  /** Looks at a place as often as there may be news, until all that wait there are served. Never rejects. */
  private async serve(spot: Spot): Promise<void> {
    while (spot.waiters.size > 0) {
      const seen = this.notices;
      await this.look(spot);
      if (spot.waiters.size === 0) return;
      if (spot.trouble !== undefined) await this.rest(spot, this.backoffMs(spot));
      else if (this.notices === seen) await this.rest(spot);
    }
  }

  private async look(spot: Spot): Promise<void> {
    const { place, key, isNews } = spot;
    try {
      const page = this.knownEnd(key) ?? (await this.read(place, key));
      spot.last = page;
      spot.trouble = undefined;
      spot.failures = 0;
      if (isNews(page)) {
        const told = pageOf(page, place);
        for (const { settle } of [...spot.waiters]) settle(told);
      } else this.watched();
    } catch (error) {
      spot.failures++;
      spot.trouble = error;
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

  /** What is behind a place, where it was read to its end and no notice came since. */
  private knownEnd(key: string): StreamFrames | undefined {
    const known = this.ends.get(key);
    return known?.at === this.notices && this.watch?.stands ? known.page : undefined;
  }

  private read(place: TailPlace, key: string): Promise<StreamFrames> {
    const at = this.notices;
    const known = this.reads.get(key);
    if (known?.at === at) return known.page;
    const { backend, executionId } = this.options;
    const stood = this.watch?.stands ?? false;
    const { attemptIndex, after, limit, visibility } = place;
    const page = backend.readStream({ executionId, attemptIndex, after, limit, visibility });
    const reading = { at, page };
    this.reads.set(key, reading);
    const forget = (): void => void (this.reads.get(key) === reading && this.reads.delete(key));
    page.then((frames) => {
      forget();
      if (frames.frames.length > 0) this.watch?.hasten();
      if (stood && frames.nextCursor === undefined) this.noteEnd(place, at, frames);
    }, forget);
    return page;
  }

  /** Nothing is behind the last frame of this page, as long as no notice comes. */
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
