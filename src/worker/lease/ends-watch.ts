/**
 * Notices when work in hand was ended elsewhere, for example cancelled by an operator, or by its flow when a group has
 * enough results. Otherwise the handler is aborted only at the next renewal of its lease, up to a third of the TTL
 * later.
 * Only partitions of handlers that have run for a while are watched, because a watched partition announces the ends of
 * all its executions.
 */
import { ASK_AGAIN_MS, EndsSubscription } from '../../engine/ends-subscription.js';
import type { Announcement, Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import type { Bag } from '../../util/bag.js';
import type { Attempt } from '../attempt/attempt.js';

/** How long a handler runs before its partition is watched, ms. */
const WATCHED_FROM_MS = 250;

export interface EndsWatchOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly running: Bag<Attempt>;
  /** The attempts of an execution. */
  readonly attemptsOf: (executionId: string) => readonly Attempt[];
  /** Called for attempts that may have ended: their leases must be renewed now. */
  readonly onDoubt: (attempts: readonly Attempt[]) => void;
}

export class EndsWatch {
  private readonly ends: EndsSubscription;
  private readonly watched = new WeakSet<Attempt>();
  private timer: Cancel | undefined;
  /** When the timer fires; Infinity without one. */
  private timerAt = Infinity;
  private closed = false;

  constructor(private readonly options: EndsWatchOptions) {
    this.ends = new EndsSubscription(options.backend, options.clock, (announcement) =>
      this.onAnnouncement(announcement),
    );
  }

  /** Call this when a handler was started. */
  started(): void {
    this.checkIn(WATCHED_FROM_MS);
  }

  private checkIn(ms: number): void {
    const { clock } = this.options;
    const at = clock.now() + ms;
    if (this.closed || at >= this.timerAt) return;
    this.timer?.();
    this.timerAt = at;
    this.timer = clock.after(ms, () => this.checkRunning());
  }

  close(): void {
    this.closed = true;
    this.timer?.();
    this.ends.close();
  }

  private checkRunning(): void {
    this.timerAt = Infinity;
    const { clock, running, onDoubt } = this.options;
    const since = clock.now() - WATCHED_FROM_MS;
    let youngMs = ASK_AGAIN_MS;
    const asked = new Set<string>();
    const unchecked: Attempt[] = [];
    for (const attempt of running) {
      if (attempt.startedAt === undefined) continue;
      if (attempt.startedAt > since) {
        youngMs = Math.min(youngMs, attempt.startedAt - since);
        continue;
      }
      if (!asked.has(attempt.partition)) this.ends.ask(attempt.partition);
      asked.add(attempt.partition);
      if (this.watched.has(attempt)) continue;
      this.watched.add(attempt);
      // It may have ended before its partition was watched.
      unchecked.push(attempt);
    }
    if (unchecked.length > 0) onDoubt(unchecked);
    if (running.size > 0) this.checkIn(youngMs);
  }

  private onAnnouncement(announcement: Announcement): void {
    // A store that was away may have forgotten who asked.
    if (announcement.kind !== 'ended') return this.checkIn(WATCHED_FROM_MS);
    const { attemptsOf, onDoubt } = this.options;
    const ended = announcement.executionIds.flatMap(attemptsOf).filter(({ reported }) => !reported);
    if (ended.length > 0) onDoubt(ended);
  }
}
