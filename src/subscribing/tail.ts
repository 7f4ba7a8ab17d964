/**
 * The log of one partition, read for all subscribers of a process: subscribers at the same place share one read, and
 * all that wait at the end share one mark in the partition (`watchLog`). Only requested pages are read, and nothing is
 * polled except every 5 s, in case an announcement was lost.
 */
import { EngineError } from '../../model/errors.js';
import { BEGINNING, encodeCursor, NOW } from '../../model/partition/cursor.js';
import type { LogPage } from '../../model/partition/reads.js';
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { isRetryable, retryDelayMs } from '../engine/retry.js';

/** Entries of a page: the most that a subscriber holds. */
const PAGE_ENTRIES = 256;
/** Pages kept for subscribers that reach the same place a little later. */
const KEPT_PAGES = 4;
const MAX_BACKOFF_MS = 5_000;

export interface TailOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly partition: string;
  /** Called with a fault that is waited out, and with `undefined` when the partition answers again. */
  readonly onFault: (error: unknown) => void;
}

interface Waiter {
  readonly more: () => void;
}

export class PartitionTail {
  private readonly pages = new Map<string, Promise<LogPage>>();
  private readonly waiters = new Set<Waiter>();
  private readonly sleepers = new Set<{ readonly cancel: Cancel; readonly wake: () => void }>();
  /** The end of the log at the last read. */
  private end: string | undefined;
  private marked = false;
  private marking = false;
  private announcements = 0;
  /** The user may have no right to set marks; then the log is read at intervals. */
  private refusesMarks = false;
  private users = 0;

  constructor(private readonly options: TailOptions) {}

  /** Adds a subscriber. The returned function removes it; with the last one everything here stops. */
  use(): () => void {
    this.users += 1;
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      this.users -= 1;
      if (this.users > 0) return;
      this.pages.clear();
      this.waiters.clear();
      this.marked = false;
      for (const { cancel, wake } of [...this.sleepers]) {
        cancel();
        wake();
      }
    };
  }

  /**
   * The page after a cursor. Temporary faults are waited out while there are subscribers.
   * @throws EngineError `cursor_too_old`, `cursor_lost`, and permanent errors
   */
  read(after: string): Promise<LogPage> {
    const known = this.pages.get(after);
    if (known !== undefined) return known;
    const { backend, partition } = this.options;
    const ofAtMost = (limit: number) => this.patiently(() => backend.readLog({ partition, after, limit }));
    const page = ofAtMost(PAGE_ENTRIES).catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.code !== 'corruption') throw error;
      // The damaged entry must not hold back those before it.
      return ofAtMost(1);
    });
    this.pages.set(after, page);
    const forget = (): void => void (this.pages.get(after) === page && this.pages.delete(after));
    page.then(({ events, end, atEnd }) => {
      if (atEnd && end !== this.end) {
        this.end = end;
        this.marked = false;
      }
      if (events.length === 0) forget();
      else for (const [oldest] of this.pages) if (this.pages.size > KEPT_PAGES) this.pages.delete(oldest);
    }, forget);
    return page;
  }

  /** The current end of the log, or the position before its oldest entry. */
  place(which: 'now' | 'earliest'): Promise<string> {
    const { backend, partition } = this.options;
    return this.patiently(async () => {
      if (which === 'now') return (await backend.readLog({ partition, after: NOW, limit: 1 })).end;
      try {
        await backend.readLog({ partition, limit: 1 });
        return encodeCursor(BEGINNING);
      } catch (error) {
        const earliest = error instanceof EngineError ? error.detail['earliest'] : undefined;
        if (earliest === undefined) throw error;
        return earliest;
      }
    });
  }

  /**
   * Calls `more` once there may be something after this end of the log, which a page returned; at once if the end has
   * moved. The returned function cancels this.
   */
  whenMore(end: string, more: () => void): () => void {
    if (this.end !== end) {
      queueMicrotask(more);
      return () => undefined;
    }
    const waiter: Waiter = { more };
    this.waiters.add(waiter);
    void this.mark();
    return () => void this.waiters.delete(waiter);
  }

  /** The log has more, or an announcement may have been lost. */
  announced(): void {
    this.marked = false;
    this.announcements += 1;
    const waiting = [...this.waiters];
    this.waiters.clear();
    for (const { more } of waiting) more();
  }

  /** Makes sure that the partition still has the mark; where it cannot be set, reads instead. */
  check(): void {
    this.marked = false;
    if (this.refusesMarks) this.announced();
    else void this.mark();
  }

  /** Marks the partition, so that it announces the next entry. */
  private async mark(): Promise<void> {
    const { end, announcements } = this;
    if (this.marked || this.marking || end === undefined || this.waiters.size === 0) return;
    this.marking = true;
    const isWatching = await this.watch(end);
    this.marking = false;
    // An announcement can overtake the answer to the mark that it used up.
    if (isWatching && this.end === end && this.announcements === announcements) this.marked = true;
    else this.announced();
  }

  /** Whether the log ends here, so that the next entry will be announced. */
  private async watch(after: string): Promise<boolean> {
    const { backend, partition } = this.options;
    try {
      const { kind } = await this.patiently(() => backend.watchLog({ partition, after }));
      this.refusesMarks = false;
      return kind === 'watching';
    } catch {
      this.refusesMarks = true;
      return true;
    }
  }

  private async patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const { clock, onFault } = this.options;
    for (let failures = 1; ; failures++) {
      try {
        const answer = await call();
        onFault(undefined);
        return answer;
      } catch (error) {
        if (!isRetryable(error) || this.users === 0) throw error;
        onFault(error);
        await this.sleep(Math.min(MAX_BACKOFF_MS, retryDelayMs(clock, failures)));
        if (this.users === 0) throw error;
      }
    }
  }

  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.sleepers.delete(sleeper);
        resolve();
      };
      const sleeper = { wake, cancel: this.options.clock.after(ms, wake) };
      this.sleepers.add(sleeper);
    });
  }
}
