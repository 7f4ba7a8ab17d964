/**
 * Notices of the streams of one execution: a subscription of the process, and the word to the store that somebody listens,
 * said again before its time is over. Notices are hints: there is a look now and then, rarely while notices come, and
 * often where they cannot.
 */
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend.js';
import type { Cancel, Clock } from '../engine/clock.js';

/** How long the store is asked to give notices, ms. */
const TTL_MS = Math.min(30_000, LIMITS.maxWatchTtlMs);
/** Between two looks while notices come, ms: each asks for notices anew. */
const LOOK_MS = 10_000;
/** Between two looks where they do not, ms: doubled each time. */
const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;

export interface WatchOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly executionId: string;
  /** There may be more: a notice came, or it is time for a look. */
  readonly onNotice: () => void;
}

export class ExecutionWatch {
  private leave: (() => void) | undefined;
  private subscribing = false;
  private subscribed = false;
  private watched = false;
  private looking: Cancel | undefined;
  private pollMs = FIRST_POLL_MS;
  private ended = false;

  constructor(private readonly options: WatchOptions) {}

  /** Whether whatever happens from now on is announced. */
  get stands(): boolean {
    return this.subscribed && this.watched;
  }

  begin(): void {
    this.ask();
    this.lookLater();
  }

  /** Something came: where notices do not, the next look is soon. */
  hasten(): void {
    if (this.pollMs === FIRST_POLL_MS) return;
    this.pollMs = FIRST_POLL_MS;
    if (!this.stands) this.lookLater();
  }

  end(): void {
    this.ended = true;
    this.looking?.();
    this.leave?.();
  }

  private ask(): void {
    const { backend, executionId } = this.options;
    if (!this.subscribed && !this.subscribing) void this.subscribe();
    // What is read after this turn is read after it: the store carries calls out in their order.
    backend.watchStream({ executionId, ttlMs: TTL_MS }).then(
      () => this.standing(() => (this.watched = true)),
      () => (this.watched = false),
    );
  }

  /** What happened before notices stood was not announced: once they do, all look. */
  private standing(change: () => void): void {
    const before = this.stands;
    change();
    if (this.ended || before || !this.stands) return;
    this.lookLater();
    this.options.onNotice();
  }

  private async subscribe(): Promise<void> {
    this.subscribing = true;
    try {
      const { backend, executionId, onNotice } = this.options;
      const leave = await backend.onFrames(executionId, (notice) => {
        if (this.ended) return;
        if (notice.kind === 'resync') this.ask();
        onNotice();
      });
      if (this.ended) return leave();
      this.leave = leave;
      this.standing(() => (this.subscribed = true));
    } catch {
      // Tried again with the next look.
    } finally {
      this.subscribing = false;
    }
  }

  private lookLater(): void {
    this.looking?.();
    const ms = this.stands ? LOOK_MS : this.pollMs;
    this.looking = this.options.clock.after(ms, () => {
      if (!this.stands) this.pollMs = Math.min(MAX_POLL_MS, 2 * this.pollMs);
      this.ask();
      this.lookLater();
      this.options.onNotice();
    });
  }
}
