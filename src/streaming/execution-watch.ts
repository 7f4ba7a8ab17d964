/**
 * Notices of the streams of one execution: a subscription of the process, and a watch in the store, renewed before it
 * expires. Notices are hints, so there are also reads at intervals: long ones while notices arrive, short ones where
 * they cannot.
 */
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';

/** Length of a watch, ms. */
const TTL_MS = Math.min(30_000, LIMITS.maxWatchTtlMs);
/** Interval of reads while notices arrive, ms: each renews the watch. */
const LOOK_MS = 10_000;
/** Interval of reads without notices, ms: doubled each time. */
const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;

export interface WatchOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly executionId: string;
  /** There may be news: a notice came, or it is time for a read. */
  readonly onNotice: () => void;
}

export class ExecutionWatch {
  private leave: (() => void) | undefined;
  private subscribing = false;
  private subscribed = false;
  private watched = false;
  private timer: Cancel | undefined;
  private pollMs = FIRST_POLL_MS;
  private ended = false;

  constructor(private readonly options: WatchOptions) {}

  /** Whether everything that happens from now on is announced. */
  get isActive(): boolean {
    return this.subscribed && this.watched;
  }

  begin(): void {
    this.renewWatch();
    this.schedulePoll();
  }

  /** There was news: without notices, the next read follows soon. */
  pollSoon(): void {
    if (this.pollMs === FIRST_POLL_MS) return;
    this.pollMs = FIRST_POLL_MS;
    if (!this.isActive) this.schedulePoll();
  }

  end(): void {
    this.ended = true;
    this.timer?.();
    this.leave?.();
  }

  private renewWatch(): void {
    const { backend, executionId } = this.options;
    if (!this.subscribed && !this.subscribing) void this.subscribe();
    // A read in this turn comes after the watch, because the store runs calls in order.
    backend.watchStream({ executionId, ttlMs: TTL_MS }).then(
      () => this.notifyWhenActive(() => (this.watched = true)),
      () => (this.watched = false),
    );
  }

  /** Frames from before the watch were not announced, so everyone reads once it is active. */
  private notifyWhenActive(change: () => void): void {
    const before = this.isActive;
    change();
    if (this.ended || before || !this.isActive) return;
    this.schedulePoll();
    this.options.onNotice();
  }

  private async subscribe(): Promise<void> {
    this.subscribing = true;
    try {
      const { backend, executionId, onNotice } = this.options;
      const leave = await backend.onFrames(executionId, (notice) => {
        if (this.ended) return;
        if (notice.kind === 'resync') this.renewWatch();
        onNotice();
      });
      if (this.ended) return leave();
      this.leave = leave;
      this.notifyWhenActive(() => (this.subscribed = true));
    } catch {
      // Repeated with the next read.
    } finally {
      this.subscribing = false;
    }
  }

  private schedulePoll(): void {
    this.timer?.();
    const ms = this.isActive ? LOOK_MS : this.pollMs;
    this.timer = this.options.clock.after(ms, () => {
      if (!this.isActive) this.pollMs = Math.min(MAX_POLL_MS, 2 * this.pollMs);
      this.renewWatch();
      this.schedulePoll();
      this.options.onNotice();
    });
  }
}
