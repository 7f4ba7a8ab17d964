/**
 * Watches the awaited runs of one partition for their ends. Each run is read at once, then polled after 50 ms; the
 * pause grows to 1 s while nothing happens, and returns to 50 ms when something did. The partition also announces ends;
 * polls find the ends whose announcement was lost.
 *
 * - For a few runs, a poll reads the state of each. For many, it reads the log of the partition instead: its cost then
 *   depends on the number of events, not on the number of waits.
 * - A log can lose its tail, or get another one, when a server returns to an earlier state. A read beyond its end is
 *   refused, and the reader begins again. The refusal can be missed, so states are also read every few seconds, for the
 *   longest waits first.
 * - A temporary error is reported to `onFault`, and the waits continue. A permanent error ends the waits for its run.
 */
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { isEnd, loadEnd, tellsEnd, type Ended } from './ends.js';

export interface Waiter {
  resolve(ended: Ended): void;
  reject(error: unknown): void;
}

export interface WatchOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly partition: string;
  /** Called with the fault when the store cannot be read, and with `undefined` when it answers again. */
  readonly onFault: (error: unknown) => void;
  /** Called before states are read, to request the announcements of ends first. */
  readonly onAsk: () => void;
  /** Longest pause between two polls, ms. Default a second. */
  readonly maxPollMs?: number | undefined;
}

const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;
const POLL_GROWTH = 1.5;
/** Up to this many awaited runs, a poll reads the state of each. */
const MAX_POLLED_RUNS = 16;
/** Most pages of the log in one poll. */
const MAX_LOG_PAGES = 10;
/** While the log is followed, this many states are also read, this often: they find ends that the log has lost. */
const EXTRA_READS = 64;
const EXTRA_READS_MS = 5_000;
/** Errors for a cursor with entries that are no longer in the log. */
const BEGIN_AGAIN: ReadonlySet<string> = new Set(['cursor_too_old', 'cursor_lost']);

export class PartitionWatch {
  private readonly waiters = new Map<string, Set<Waiter>>();
  /** Runs whose state was not read since their wait, or reading the log, began: the log may be past their end. */
  private readonly unchecked = new Map<string, number>();
  private marks = 0;
  private cursor: string | undefined;
  private askedAt = 0;
  private pollMs = FIRST_POLL_MS;
  private timer: Cancel | undefined;
  private polling = false;
  /** Reads of ends in flight. */
  private readonly reading = new Map<string, Promise<void>>();
  /** The fault of the last call; undefined if it succeeded. */
  fault: unknown;

  constructor(private readonly options: WatchOptions) {}

  add(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    if (waiters === undefined) this.waiters.set(executionId, new Set([waiter]));
    else waiters.add(waiter);
    this.options.onAsk();
    // The run may have ended before this wait began.
    this.look(executionId);
    this.pollMs = FIRST_POLL_MS;
    this.schedule();
  }

  remove(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.take(executionId);
  }

  /** Reads the state of a run, if it is awaited. */
  look(executionId: string): void {
    if (!this.has(executionId)) return;
    this.mark(executionId);
    void this.check(executionId);
  }

  /** Call this for runs that ended: reads the ends of the awaited ones. */
  onEnded(executionIds: readonly string[]): void {
    for (const executionId of executionIds) {
      if (!this.has(executionId)) continue;
      this.mark(executionId);
      void this.load(executionId);
    }
  }

  /** Call this when announcements may have been lost. With many awaited runs, the next poll finds their ends. */
  lookAtAll(): void {
    if (this.waiters.size > MAX_POLLED_RUNS) return;
    for (const executionId of this.waiters.keys()) this.look(executionId);
  }

  settle(ended: Ended): void {
    for (const waiter of this.take(ended.executionId)) waiter.resolve(ended);
  }

  rejectAll(error: unknown): void {
    for (const executionId of [...this.waiters.keys()]) this.reject(executionId, error);
  }

  /** Makes a run unchecked until a read that begins later has seen its state. */
  private mark(executionId: string): void {
    this.unchecked.set(executionId, ++this.marks);
  }

  private has(executionId: string): boolean {
    return this.waiters.has(executionId);
  }

  private reject(executionId: string, error: unknown): void {
    for (const waiter of this.take(executionId)) waiter.reject(error);
  }

  /** Removes and returns the waiters of a run. */
  private take(executionId: string): Iterable<Waiter> {
    const waiters = this.waiters.get(executionId) ?? [];
    this.waiters.delete(executionId);
    this.unchecked.delete(executionId);
    if (this.waiters.size === 0) this.stop();
    return waiters;
  }

  private stop(): void {
    this.timer?.();
    this.timer = undefined;
    this.cursor = undefined;
    this.pollMs = FIRST_POLL_MS;
  }

  /** Notes the fault of the last call, or its success, and reports a change between the two. */
  private note(error: unknown): void {
    const before = this.fault;
    this.fault = error;
    if ((before === undefined) !== (error === undefined)) this.options.onFault(error);
  }

  private schedule(): void {
    if (this.polling || this.waiters.size === 0) return;
    this.timer?.();
    this.timer = this.options.clock.after(this.pollMs, () => void this.poll());
  }

  private async poll(): Promise<void> {
    this.polling = true;
    this.options.onAsk();
    const before = this.waiters.size;
    if (before > MAX_POLLED_RUNS) await this.follow();
    else await this.checkAll();
    this.polling = false;
    this.pollMs =
      this.waiters.size < before
        ? FIRST_POLL_MS
        : Math.min(this.options.maxPollMs ?? MAX_POLL_MS, this.pollMs * POLL_GROWTH);
    this.schedule();
  }

  private async checkAll(): Promise<void> {
    this.cursor = undefined;
    await this.checkEach(this.waiters.keys());
  }

  private async checkEach(executionIds: Iterable<string>): Promise<void> {
    await Promise.all([...executionIds].map((executionId) => this.check(executionId)));
  }

  /** Reads the state of a run, and its end if it has ended. Never throws. */
  private check(executionId: string): Promise<void> {
    const mark = this.unchecked.get(executionId);
    return this.guarded(executionId, async () => {
      const state = await this.options.backend.readExecutionState({ executionId });
      this.note(undefined);
      if (!this.has(executionId)) return;
      if (state === undefined) this.reject(executionId, new RunNotFoundError(executionId));
      else if (isEnd(state)) await this.settleByRead(executionId);
      else if (this.unchecked.get(executionId) === mark) this.unchecked.delete(executionId);
    });
  }

  /** Reads the end of a run that has probably ended. Never throws. */
  private load(executionId: string): Promise<void> {
    return this.guarded(executionId, () => this.settleByRead(executionId));
  }

  /**
   * Reads the end of a run once: a long result must not cross a slow link twice. A read in flight may have begun before
   * the end, or before a replay and a wait for the new end: then it leaves waits open, and the run is read again.
   */
  private async settleByRead(executionId: string): Promise<void> {
    if (!this.has(executionId)) return;
    const known = this.reading.get(executionId);
    if (known !== undefined) {
      await known;
      return this.settleByRead(executionId);
    }
    const reading = this.readEnd(executionId).finally(() => this.reading.delete(executionId));
    this.reading.set(executionId, reading);
    return reading;
  }

  /** Settles only the waits that were there when the read began: later ones may be for the end after a replay. */
  private async readEnd(executionId: string): Promise<void> {
    const waiters = [...present(this.waiters.get(executionId))];
    const settle = (how: (waiter: Waiter) => void): void => {
      for (const waiter of waiters) {
        this.remove(executionId, waiter);
        how(waiter);
      }
    };
    try {
      const ended = await loadEnd(this.options.backend, executionId);
      this.note(undefined);
      if (ended !== undefined) settle((waiter) => waiter.resolve(ended));
    } catch (error) {
      if (isRetryable(error)) throw error;
      settle((waiter) => waiter.reject(error));
    }
  }

  /** Runs work for one run. After a temporary error the run stays unchecked; any other error ends the waits for it. */
  private async guarded(executionId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.has(executionId)) return;
      if (!isRetryable(error)) return this.reject(executionId, error);
      this.mark(executionId);
      this.note(error);
    }
  }

  private async follow(): Promise<void> {
    try {
      if (this.cursor === undefined) await this.takeUpLog();
      else await this.readOn();
      this.note(undefined);
    } catch (error) {
      // An unreadable log shows no ends: the state of each run is read instead.
      if (!isRetryable(error)) return this.checkAll();
      this.note(error);
    }
    await this.checkEach(this.unchecked.keys());
    await this.askAllTheSame();
  }

  /** Reads the states of the next awaited runs, if that is due, even if the log shows no ends. */
  private async askAllTheSame(): Promise<void> {
    const now = this.options.clock.now();
    if (now - this.askedAt < EXTRA_READS_MS) return;
    this.askedAt = now;
    const next = [...this.waiters.keys()].slice(0, EXTRA_READS);
    for (const executionId of next) {
      // To the end of the map: its next turn comes after all other runs.
      const waiters = present(this.waiters.get(executionId));
      this.waiters.delete(executionId);
      this.waiters.set(executionId, waiters);
    }
    await this.checkEach(next);
  }

  private async takeUpLog(): Promise<void> {
    const { backend, partition, clock } = this.options;
    const { end } = await backend.readLog({ partition, after: 'now', limit: 1 });
    this.cursor = end;
    this.askedAt = clock.now();
    // The reader will not see ends before the cursor.
    for (const executionId of this.waiters.keys()) this.mark(executionId);
  }

  private async readOn(): Promise<void> {
    for (let page = 0; page < MAX_LOG_PAGES && this.cursor !== undefined; page++) {
      const page = await this.nextPage(this.cursor);
      if (page === undefined) return this.takeUpLog();
      // A run with a result that cannot be read now stays unchecked, so the cursor can move on.
      // An entry of the log is only a hint: the run can have been replayed behind it.
      const ends = page.events.map(({ event }) => event).filter(tellsEnd);
      await Promise.all(ends.map(({ executionId }) => this.load(executionId)));
      this.cursor = page.next;
      if (page.atEnd) return;
    }
  }

  /** The page after the cursor; undefined if the log was trimmed, or lost its tail, so that the cursor is invalid. */
  private async nextPage(after: string): Promise<Awaited<ReturnType<Backend['readLog']>> | undefined> {
    const { backend, partition } = this.options;
    try {
      return await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    } catch (error) {
      if (!(error instanceof EngineError) || !BEGIN_AGAIN.has(error.code)) throw error;
      return undefined;
    }
  }
}
