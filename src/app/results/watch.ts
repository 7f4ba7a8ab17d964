/**
 * The runs of one partition that are waited for, and how their ends are found: first each is asked for at once, then
 * after 50 ms, growing to 1 s while nothing happens, and back to 50 ms when something did. Meanwhile the partition is
 * asked to announce ends: polls find what such a notice did not reach.
 *
 * - While few runs are waited for, each one's state is asked for. While many are, the partition's log is read instead:
 *   then the cost is bounded by what happens, not by how many wait.
 * - A log can lose its tail, or grow another one, when a server goes back to an earlier state. A reader beyond its end
 *   is told to begin again; and in case it is not, states are asked for now and then all the same, oldest wait first.
 * - A transient error is waited out, and told to `onTrouble`. A permanent one ends the wait for that run, and for no
 *   other.
 */
import { present } from '../../../model/core/present.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { endTold, isEnd, loadEnd, tellsEnd, type Ended, type EndEvent } from './ends.js';

export interface Waiter {
  resolve(ended: Ended): void;
  reject(error: unknown): void;
}

export interface WatchOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly partition: string;
  /** Told when the store cannot be asked, and with `undefined` when it answers again. */
  readonly onTrouble: (error: unknown) => void;
  /** Called before states are asked for: announcements are asked for by then. */
  readonly onAsk: () => void;
}

const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;
const POLL_GROWTH = 1.5;
/** Up to this many runs are asked for one by one. */
const MAX_ASKED_SINGLY = 16;
/** Pages of the log read in a row before other work gets its turn. */
const MAX_LOG_PAGES = 10;
/** While the log is followed, so many runs are asked for all the same, so often: one that it lost is found in the end. */
const ASKED_ALL_THE_SAME = 64;
const ASK_ALL_THE_SAME_MS = 5_000;
/** What a reader is told whose place in the log is gone. */
const BEGIN_AGAIN: ReadonlySet<string> = new Set(['cursor_too_old', 'cursor_lost']);

export class PartitionWatch {
  private readonly waiters = new Map<string, Set<Waiter>>();
  /** Runs whose state was not read since they are waited for, or since the log is followed: the log may be past their end. */
  private readonly unchecked = new Map<string, number>();
  private marks = 0;
  private cursor: string | undefined;
  private askedAt = 0;
  private pollMs = FIRST_POLL_MS;
  private timer: Cancel | undefined;
  private polling = false;
  /** Ends that are being read. */
  private readonly reading = new Map<string, Promise<Ended | undefined>>();
  /** The fault with which the store answered last; nothing when it answered. */
  trouble: unknown;

  constructor(private readonly options: WatchOptions) {}

  add(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    if (waiters === undefined) this.waiters.set(executionId, new Set([waiter]));
    else waiters.add(waiter);
    this.options.onAsk();
    // It may have ended before this wait began.
    this.look(executionId);
    this.pollMs = FIRST_POLL_MS;
    this.schedule();
  }

  remove(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.take(executionId);
  }

  /** Asks for the state of a run, if it is waited for. */
  look(executionId: string): void {
    if (!this.has(executionId)) return;
    this.mark(executionId);
    void this.check(executionId);
  }

  /** These runs ended: those that are waited for are asked for their ends. */
  onEnded(executionIds: readonly string[]): void {
    for (const executionId of executionIds) {
      if (!this.has(executionId)) continue;
      this.mark(executionId);
      void this.load(executionId);
    }
  }

  /** Notices may have been lost. Where many runs are waited for, the next poll finds what was. */
  lookAtAll(): void {
    if (this.waiters.size > MAX_ASKED_SINGLY) return;
    for (const executionId of this.waiters.keys()) this.look(executionId);
  }

  settle(ended: Ended): void {
    for (const waiter of this.take(ended.executionId)) waiter.resolve(ended);
  }

  rejectAll(error: unknown): void {
    for (const executionId of [...this.waiters.keys()]) this.reject(executionId, error);
  }

  /** From now on, only a look that begins later counts. */
  private mark(executionId: string): void {
    this.unchecked.set(executionId, ++this.marks);
  }

  private has(executionId: string): boolean {
    return this.waiters.has(executionId);
  }

  private reject(executionId: string, error: unknown): void {
    for (const waiter of this.take(executionId)) waiter.reject(error);
  }

  /** The waiters of a run, for whom the wait is over. */
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

  /** Keeps what the store's last answer was, and tells when it changes between a fault and none. */
  private note(error: unknown): void {
    const before = this.trouble;
    this.trouble = error;
    if ((before === undefined) !== (error === undefined)) this.options.onTrouble(error);
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
    if (before > MAX_ASKED_SINGLY) await this.follow();
    else await this.checkAll();
    this.polling = false;
    this.pollMs = this.waiters.size < before ? FIRST_POLL_MS : Math.min(MAX_POLL_MS, this.pollMs * POLL_GROWTH);
    this.schedule();
  }

  private async checkAll(): Promise<void> {
    this.cursor = undefined;
    await this.checkEach(this.waiters.keys());
  }

  private async checkEach(executionIds: Iterable<string>): Promise<void> {
    await Promise.all([...executionIds].map((executionId) => this.check(executionId)));
  }

  /** Asks for the state of a run, and for its end if it has ended. Never throws. */
  private check(executionId: string): Promise<void> {
    const mark = this.unchecked.get(executionId);
    return this.guarded(executionId, async () => {
      const state = await this.options.backend.readExecutionState({ executionId });
      this.note(undefined);
      if (!this.has(executionId)) return;
      if (state === undefined) this.reject(executionId, new RunNotFoundError(executionId));
      else if (isEnd(state))
        this.settleWith(await this.once(executionId, () => loadEnd(this.options.backend, executionId)));
      else if (this.unchecked.get(executionId) === mark) this.unchecked.delete(executionId);
    });
  }

  /** Asks for the end of a run that has one, as far as is known. Never throws. */
  private load(executionId: string): Promise<void> {
    return this.guarded(executionId, async () => {
      const ended = await this.once(executionId, () => loadEnd(this.options.backend, executionId));
      this.note(undefined);
      this.settleWith(ended);
    });
  }

  /**
   * Reads the end of a run, unless that is under way: a long result must not cross a slow link twice. A read that is
   * under way may be older than the end, so that it finds none: then the run is read again.
   */
  private async once(executionId: string, read: () => Promise<Ended | undefined>): Promise<Ended | undefined> {
    const known = this.reading.get(executionId);
    if (known !== undefined) return (await known) ?? this.once(executionId, read);
    const reading = read().finally(() => this.reading.delete(executionId));
    this.reading.set(executionId, reading);
    return reading;
  }

  private settleWith(ended: Ended | undefined): void {
    if (ended !== undefined && this.has(ended.executionId)) this.settle(ended);
  }

  /** Does something for one run. Of its errors, one that passes leaves the run unchecked; others end the wait for it. */
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
      // A log that cannot be read says nothing about the runs in it: each is asked for by itself.
      if (!isRetryable(error)) return this.checkAll();
      this.note(error);
    }
    await this.checkEach(this.unchecked.keys());
    await this.askAllTheSame();
  }

  /** The next of those that are waited for, now and then, whatever the log says. */
  private async askAllTheSame(): Promise<void> {
    const now = this.options.clock.now();
    if (now - this.askedAt < ASK_ALL_THE_SAME_MS) return;
    this.askedAt = now;
    const next = [...this.waiters.keys()].slice(0, ASKED_ALL_THE_SAME);
    for (const executionId of next) {
      // To the end of the row: it is asked for again when all others have been.
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
    // What ended before the cursor will not be met again.
    for (const executionId of this.waiters.keys()) this.mark(executionId);
  }

  private async readOn(): Promise<void> {
    for (let page = 0; page < MAX_LOG_PAGES && this.cursor !== undefined; page++) {
      const page = await this.nextPage(this.cursor);
      if (page === undefined) return this.takeUpLog();
      // An event whose result cannot be read now leaves its run unchecked: the cursor need not wait.
      const ends = page.events.map(({ event }) => event).filter(tellsEnd);
      await Promise.all(ends.map((event) => this.guarded(event.executionId, () => this.read(event))));
      this.cursor = page.next;
      if (page.atEnd) return;
    }
  }

  /** The page behind the cursor; nothing when the cursor has lost its place: the log was trimmed, or lost its tail. */
  private async nextPage(after: string): Promise<Awaited<ReturnType<Backend['readLog']>> | undefined> {
    const { backend, partition } = this.options;
    try {
      return await backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    } catch (error) {
      if (!(error instanceof EngineError) || !BEGIN_AGAIN.has(error.code)) throw error;
      return undefined;
    }
  }

  private async read(event: EndEvent): Promise<void> {
    if (!this.has(event.executionId)) return;
    this.settleWith(await this.once(event.executionId, () => endTold(this.options.backend, event)));
  }
}
