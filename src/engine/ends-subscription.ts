/**
 * Notices of runs that end in other processes. A partition announces ends for a limited time to callers that asked for
 * them (`watchEnds`); one subscription of the process receives those of all partitions. Notices are hints, so waiting
 * callers also poll.
 */
import { LIMITS } from '../../model/limits.js';
import type { Announcement, Backend } from '../backend/backend.js';
import type { Clock } from './clock.js';

/** How long callers may wait until they ask again, ms. A partition is asked to announce ends for twice that time. */
export const ASK_AGAIN_MS = 10_000;

export class EndsSubscription {
  private subscription: Promise<void> | undefined;
  private leave: (() => void) | undefined;
  /** By partition: when to ask again. */
  private readonly askAgainAt = new Map<string, number>();
  private closed = false;

  /**
   * @param listener receives everything that is announced until this is closed
   * @param askAgainMs how long callers may wait until they ask again, ms
   */
  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly listener: (announcement: Announcement) => void,
    private readonly askAgainMs = ASK_AGAIN_MS,
  ) {}

  /**
   * Asks a partition, unless it was asked recently. Later calls of the same turn come after it: a read that finds a run
   * unfinished is made before its end is announced.
   */
  ask(partition: string): void {
    this.subscription ??= this.subscribe();
    const now = this.clock.now();
    if (now < (this.askAgainAt.get(partition) ?? 0)) return;
    this.askAgainAt.set(partition, now + this.askAgainMs);
    // A failure shows in polls.
    const ttlMs = Math.min(2 * this.askAgainMs, LIMITS.maxWatchTtlMs);
    this.backend.watchEnds({ partition, ttlMs }).catch(() => undefined);
  }

  close(): void {
    this.closed = true;
    this.leave?.();
  }

  private async subscribe(): Promise<void> {
    try {
      const leave = await this.backend.onAnnouncement('ended', (announcement) => {
        if (this.closed) return;
        if (announcement.kind === 'resync') this.askAgainAt.clear();
        this.listener(announcement);
      });
      if (this.closed) return leave();
      this.leave = leave;
      // Announcements from before the subscription was active were missed.
      this.listener({ kind: 'resync' });
    } catch {
      // Retried with the next waiting caller.
      this.subscription = undefined;
    }
  }
}
