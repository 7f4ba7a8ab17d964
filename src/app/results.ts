/**
 * Waiting for results: one waiter per backend and process, however many runs are waited for.
 *
 * - A run that ends by a command of this process is heard of at once, through the local news.
 * - For everything else the store is asked, partition by partition: first at once, then after 50 ms, growing to 1 s
 *   while nothing happens, and back to 50 ms when something did.
 * - While few runs of a partition are waited for, each one's state is asked for. While many are, the partition's log
 *   is read instead: then the cost is bounded by what happens, not by who waits.
 * - An error that passes is waited out. One that does not is told to those who wait for that run, and to nobody else.
 */
import { EngineError } from '../../model/errors.js';
import type { Event } from '../../model/events.js';
import { isExecutionId, partitionOfExecution } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend.js';
import { systemClock, type Cancel, type Clock } from '../engine/clock.js';
import { localNews, type News } from '../engine/local-news.js';
import { isRetryable } from '../engine/retry.js';
import { AppClosedError, RunNotFoundError } from '../shared/errors.js';

/** How a run ended. */
export type Ended = Exclude<News, { kind: 'attempt_timeout' }>;

interface Waiter {
  resolve(ended: Ended): void;
  reject(error: unknown): void;
}

const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;
const POLL_GROWTH = 1.5;
/** Up to this many runs of a partition are asked for one by one. */
const MAX_ASKED_SINGLY = 16;
/** Pages of the log read in a row before other work gets its turn. */
const MAX_LOG_PAGES = 10;

/** The runs of one partition that are waited for. */
class PartitionWatch {
  private readonly waiters = new Map<string, Set<Waiter>>();
  /** Runs whose state was not read since they are waited for, or since the log is followed: the log may be past their end. */
  private readonly unchecked = new Map<string, number>();
  private marks = 0;
  private cursor: number | undefined;
  private pollMs = FIRST_POLL_MS;
  private timer: Cancel | undefined;
  private polling = false;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly partition: string,
  ) {}

  add(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    if (waiters === undefined) this.waiters.set(executionId, new Set([waiter]));
    else waiters.add(waiter);
    // It may have ended before anybody waited for it.
    this.mark(executionId);
    void this.check(executionId);
    this.pollMs = FIRST_POLL_MS;
    this.schedule();
  }

  /** From now on, only a look that begins later counts. */
  private mark(executionId: string): void {
    this.unchecked.set(executionId, ++this.marks);
  }

  remove(executionId: string, waiter: Waiter): void {
    const waiters = this.waiters.get(executionId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.take(executionId);
  }

  private has(executionId: string): boolean {
    return this.waiters.has(executionId);
  }

  settle(ended: Ended): void {
    for (const waiter of this.take(ended.executionId)) waiter.resolve(ended);
  }

  rejectAll(error: unknown): void {
    for (const executionId of [...this.waiters.keys()]) this.reject(executionId, error);
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

  private schedule(): void {
    if (this.polling || this.waiters.size === 0) return;
    this.timer?.();
    this.timer = this.clock.after(this.pollMs, () => void this.poll());
  }

  private async poll(): Promise<void> {
    this.polling = true;
    const before = this.waiters.size;
    if (before > MAX_ASKED_SINGLY) await this.follow();
    else await this.checkAll();
    this.polling = false;
    this.pollMs = this.waiters.size < before ? FIRST_POLL_MS : Math.min(MAX_POLL_MS, this.pollMs * POLL_GROWTH);
    this.schedule();
  }

  private async checkAll(): Promise<void> {
    this.cursor = undefined;
    await Promise.all([...this.waiters.keys()].map((executionId) => this.check(executionId)));
  }

  /** Asks for the state of a run, and for its end if it has ended. Never throws. */
  private check(executionId: string): Promise<void> {
    const mark = this.unchecked.get(executionId);
    return this.guarded(executionId, async () => {
      const state = await this.backend.readExecutionState({ executionId });
      if (!this.has(executionId)) return;
      if (state === undefined) this.reject(executionId, new RunNotFoundError(executionId));
      else if (state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'expired')
        await this.load(executionId, state);
      else if (this.unchecked.get(executionId) === mark) this.unchecked.delete(executionId);
    });
  }

  /** Does something for one run. Of its errors, one that passes leaves the run unchecked; others end the wait for it. */
  private async guarded(executionId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.has(executionId)) return;
      if (isRetryable(error)) this.mark(executionId);
      else this.reject(executionId, error);
    }
  }

  private async load(executionId: string, kind: Ended['kind']): Promise<void> {
    const [info, result] = await Promise.all([
      this.backend.readExecutionInfo({ executionId }),
      kind === 'completed' ? this.backend.getExecutionResult({ executionId }) : undefined,
    ]);
    if (info === undefined) this.reject(executionId, new RunNotFoundError(executionId));
    else if (kind === 'completed') this.settle({ kind, executionId, result, encoding: info.resultEncoding });
    else if (kind === 'failed')
      this.settle({ kind, executionId, reason: info.failureReason ?? '', category: info.failureCategory ?? '' });
    else if (kind === 'cancelled') this.settle({ kind, executionId, reason: info.cancellationReason ?? '' });
    else
      this.settle({
        kind,
        executionId,
        reason: info.failureReason === 'attempt_timeout' ? 'attempt_timeout' : 'execution_deadline',
      });
  }

  private async follow(): Promise<void> {
    try {
      if (this.cursor === undefined) await this.takeUpLog();
      else await this.readOn();
    } catch (error) {
      // A log that cannot be read says nothing about the runs in it: each is asked for by itself.
      if (!isRetryable(error)) return this.checkAll();
    }
    await Promise.all([...this.unchecked.keys()].map((executionId) => this.check(executionId)));
  }

  private async takeUpLog(): Promise<void> {
    const { end } = await this.backend.readLog({ partition: this.partition, after: LIMITS.maxInteger, limit: 1 });
    this.cursor = end;
    // What ended before the cursor will not be met again.
    for (const executionId of this.waiters.keys()) this.mark(executionId);
  }

  private async readOn(): Promise<void> {
    for (let page = 0; page < MAX_LOG_PAGES && this.cursor !== undefined; page++) {
      const events = await this.nextEvents(this.cursor);
      if (events === undefined) return;
      // An event whose result cannot be read now leaves its run unchecked: the cursor need not wait.
      await Promise.all(events.map(({ event }) => this.guarded(event.executionId, () => this.read(event))));
      this.cursor = events.at(-1)?.sequence ?? this.cursor;
      if (events.length < LIMITS.maxPageSize) return;
    }
  }

  private async nextEvents(after: number): Promise<Awaited<ReturnType<Backend['readLog']>>['events'] | undefined> {
    try {
      return (await this.backend.readLog({ partition: this.partition, after, limit: LIMITS.maxPageSize })).events;
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'cursor_too_old') throw error;
      // The log ran away: begin again at its end.
      this.cursor = undefined;
      return undefined;
    }
  }

  private async read(event: Event): Promise<void> {
    const { executionId } = event;
    if (!this.has(executionId)) return;
    if (event.type === 'execution_completed') {
      const result =
        event.resultBytes === undefined ? undefined : await this.backend.getExecutionResult({ executionId });
      this.settle({ kind: 'completed', executionId, result, encoding: event.resultEncoding });
    }
    if (event.type === 'execution_failed')
      this.settle({ kind: 'failed', executionId, reason: event.failureReason, category: event.failureCategory });
    if (event.type === 'execution_cancelled')
      this.settle({ kind: 'cancelled', executionId, reason: event.cancellationReason });
    if (event.type === 'execution_expired') this.settle({ kind: 'expired', executionId, reason: event.expireReason });
  }
}

export class ResultWaiter {
  private readonly watches = new Map<string, PartitionWatch>();

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
  ) {
    localNews(backend).listen((news) => {
      if (news.kind !== 'attempt_timeout') this.watches.get(partitionOfExecution(news.executionId))?.settle(news);
    });
  }

  /**
   * Resolves when the execution has ended.
   * @throws RunNotFoundError; AppClosedError; what the backend throws for good; the signal's reason
   */
  async wait(executionId: string, signal?: AbortSignal): Promise<Ended> {
    if (!isExecutionId(executionId)) {
      throw new EngineError('invalid_input', 'executionId: must be a valid execution id, like "{fp:0}:<uuid>".', {
        detail: { field: 'executionId' },
      });
    }
    const partition = partitionOfExecution(executionId);
    let watch = this.watches.get(partition);
    if (watch === undefined)
      this.watches.set(partition, (watch = new PartitionWatch(this.backend, this.clock, partition)));
    const place = watch;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = (): void => {
        place.remove(executionId, waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        resolve: (ended) => {
          signal?.removeEventListener('abort', abort);
          resolve(ended);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      place.add(executionId, waiter);
    });
  }

  /** Ends every wait with `AppClosedError`; for the end of the backend. */
  close(): void {
    for (const watch of this.watches.values()) watch.rejectAll(new AppClosedError());
  }
}

const waiters = new WeakMap<Backend, ResultWaiter>();

/** The one waiter of this process for a backend. */
export function resultWaiter(backend: Backend, clock: Clock = systemClock): ResultWaiter {
  let waiter = waiters.get(backend);
  if (waiter === undefined) waiters.set(backend, (waiter = new ResultWaiter(backend, clock)));
  return waiter;
}
