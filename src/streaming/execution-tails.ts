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

interface Waiter {
  readonly wanted: Wanted;
  readonly settle: (page: TailPage) => void;
  readonly fail: (error: unknown) => void;
  /** What was there at the last look, and why the last look failed. */
  last: StreamFrames | undefined;
  trouble: unknown;
  failures: number;
  /** Goes on, while it rests. */
  wake: (() => void) | undefined;
}

export interface ExecutionTailsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly executionId: string;
  /** Nobody has used this for a while. */
  readonly onUnused: () => void;
}

export class ExecutionTails {
  private readonly waiters = new Set<Waiter>();
  private readonly reads = new Map<string, Promise<StreamFrames>>();
  /** By place: what was read there while notices stood, and of which notice that was. */
  private readonly ends = new Map<string, { readonly at: number; readonly page: StreamFrames }>();
  /** Notices so far. */
  private notices = 0;
  private users = 0;
  private watch: ExecutionWatch | undefined;
  private lingering: Cancel | undefined;

  constructor(private readonly options: ExecutionTailsOptions) {}

  /** One user more. The returned function takes it away; with the last one, and after a while, notices end. */
  use(): () => void {
    this.lingering?.();
    this.users++;
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      if (--this.users > 0) return;
      if (this.watch === undefined) this.end();
      else this.lingering = this.options.clock.after(LINGER_MS, () => this.end());
    };
  }

  /** The page behind a place, as soon as there is news or the time is over. Faults that pass are waited out till then. */
  next(wanted: Wanted): Promise<TailPage> {
    const { blockMs, signal } = wanted;
    if (blockMs === 0) return this.read(wanted).then((page) => pageOf(page, wanted));
    return new Promise<TailPage>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const undo: (() => void)[] = [];
      const over = (then: () => void): void => {
        if (!this.waiters.delete(waiter)) return;
        for (const each of undo) each();
        waiter.wake?.();
        then();
      };
      const waiter: Waiter = {
        wanted,
        settle: (page) => over(() => resolve(page)),
        fail: (error) => over(() => reject(error)),
        last: undefined,
        trouble: undefined,
        failures: 0,
        wake: undefined,
      };
      this.waiters.add(waiter);
      if (blockMs !== undefined) undo.push(this.options.clock.after(blockMs, () => this.timeUp(waiter)));
      if (signal !== undefined) undo.push(onAbort(signal, () => waiter.fail(signal.reason)));
      void this.serve(waiter);
    });
  }

  private timeUp(waiter: Waiter): void {
    const { last, trouble, wanted } = waiter;
    if (trouble === undefined && last !== undefined) waiter.settle(pageOf(last, wanted));
    // The store was not asked yet, or does not answer.
    else if (trouble !== undefined) waiter.fail(trouble);
    else this.read(wanted).then((page) => waiter.settle(pageOf(page, wanted)), waiter.fail);
  }

  /** Looks for one waiter as often as there may be news, until it is served. Never rejects. */
  private async serve(waiter: Waiter): Promise<void> {
    while (this.waiters.has(waiter)) {
      const seen = this.notices;
      await this.look(waiter);
      if (!this.waiters.has(waiter)) return;
      if (waiter.trouble !== undefined) await this.rest(waiter, this.backoffMs(waiter));
      else if (this.notices === seen) await this.rest(waiter);
    }
  }

  private async look(waiter: Waiter): Promise<void> {
    const { wanted } = waiter;
    try {
      const page = this.knownEnd(wanted) ?? (await this.read(wanted));
      waiter.last = page;
      waiter.trouble = undefined;
      waiter.failures = 0;
      if (wanted.isNews(page)) waiter.settle(pageOf(page, wanted));
      else this.watched();
    } catch (error) {
      waiter.failures++;
      waiter.trouble = error;
      if (!isRetryable(error)) waiter.fail(error);
    }
  }

  private backoffMs({ failures }: Waiter): number {
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
    for (const { wake } of [...this.waiters]) wake?.();
  }

  /** Waits for a notice, or for a time. */
  private rest(waiter: Waiter, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = ms === undefined ? undefined : this.options.clock.after(ms, () => waiter.wake?.());
      waiter.wake = () => {
        cancel?.();
        waiter.wake = undefined;
        resolve();
      };
    });
  }

  /** What is behind a place, where it was read to its end and no notice came since. */
  private knownEnd(place: TailPlace): StreamFrames | undefined {
    const known = this.ends.get(placeKey(place));
    return known?.at === this.notices && this.watch?.stands ? known.page : undefined;
  }

  private read(place: TailPlace): Promise<StreamFrames> {
    const key = placeKey(place);
    const sharedKey = `${this.notices} ${key}`;
    const known = this.reads.get(sharedKey);
    if (known !== undefined) return known;
    const { backend, executionId } = this.options;
    const at = this.notices;
    const stood = this.watch?.stands ?? false;
    const { attemptIndex, after, limit, visibility } = place;
    const reading = backend.readStream({ executionId, attemptIndex, after, limit, visibility });
    this.reads.set(sharedKey, reading);
    const forget = (): void => void this.reads.delete(sharedKey);
    reading.then((page) => {
      forget();
      if (page.frames.length > 0) this.watch?.hasten();
      if (stood && page.nextCursor === undefined) this.noteEnd(place, at, page);
    }, forget);
    return reading;
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
