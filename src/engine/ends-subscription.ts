/**
 * Word of ends of runs that other processes carry out. A partition announces them for a time to callers that said that
 * they wait (`watchEnds`); one subscription of the process hears of all partitions. A hint: whoever waits polls besides.
 */
import { LIMITS } from '../../model/limits.js';
import type { Announcement, Backend } from '../backend.js';
import type { Clock } from './clock.js';

/** How long a partition is asked to announce ends, ms. */
const TTL_MS = Math.min(20_000, LIMITS.maxWatchTtlMs);

export class EndsSubscription {
  private standing: Promise<void> | undefined;
  private leave: (() => void) | undefined;
  /** By partition: when it is to be asked again. */
  private readonly askAgainAt = new Map<string, number>();
  private closed = false;

  /** `heard` is told of everything that is announced, and of nothing once this is closed. */
  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly heard: (announcement: Announcement) => void,
  ) {}

  /**
   * Asks a partition, unless it was asked a short while ago. What is sent to it later in the same turn comes after that: a
   * read that finds a run not ended is made before its end is announced.
   */
  ask(partition: string): void {
    this.standing ??= this.subscribe();
    const now = this.clock.now();
    if (now < (this.askAgainAt.get(partition) ?? 0)) return;
    this.askAgainAt.set(partition, now + TTL_MS / 2);
    // What comes of it shows in polls.
    this.backend.watchEnds({ partition, ttlMs: TTL_MS }).catch(() => undefined);
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
        this.heard(announcement);
      });
      if (this.closed) return leave();
      this.leave = leave;
      // What was announced before the subscription stood was not heard.
      this.heard({ kind: 'resync' });
    } catch {
      // Tried again with the next run that is waited for.
      this.standing = undefined;
    }
  }
}
