/**
 * Shared by all subscribers of a process on the same backend: a tail for each partition, one subscription to
 * announcements, and a read every 5 s. Exists only while there are subscribers.
 */
import { EngineError } from '../../model/errors.js';
import { isPartitionKey, partitionIndexOf, partitionKeyOf } from '../../model/ids.js';
import type { Backend } from '../backend/backend.js';
import type { Cancel, Clock } from '../engine/clock.js';
import { perBackend } from '../engine/per-backend.js';
import { PartitionTail } from './tail.js';

/** A read in case an announcement was lost, ms (ruling 51). */
const LOOK_EVERY_MS = 5_000;

export type FaultListener = (error: unknown) => void;

export class LogHub {
  private readonly tails = new Map<number, PartitionTail>();
  private readonly faultListeners = new Set<FaultListener>();
  private readonly unreadable = new Set<number>();
  private users = 0;
  private timer: Cancel | undefined;
  private leave: Promise<(() => void) | undefined> | undefined;

  constructor(
    readonly backend: Backend,
    readonly clock: Clock,
  ) {}

  tail(partition: number): PartitionTail {
    let tail = this.tails.get(partition);
    if (tail === undefined) {
      tail = new PartitionTail({
        backend: this.backend,
        clock: this.clock,
        partition: partitionKeyOf(partition),
        onFault: (error) => this.noteFault(partition, error),
      });
      this.tails.set(partition, tail);
    }
    return tail;
  }

  /** Resolves when the subscription to announcements is active, or has failed for now. */
  async whenSubscribed(): Promise<void> {
    await this.leave;
  }

  /** Adds a subscriber. Its listener is called when the store stops answering and when it answers again. */
  use(onFault: FaultListener): () => void {
    const entry: FaultListener = (error) => onFault(error);
    this.faultListeners.add(entry);
    if (this.users++ === 0) this.begin();
    return () => {
      if (!this.faultListeners.delete(entry)) return;
      if (--this.users === 0) this.end();
    };
  }

  private begin(): void {
    this.checkPeriodically();
    const leave = this.subscribe();
    this.leave = leave;
  }

  private end(): void {
    this.timer?.();
    this.timer = undefined;
    void this.leave?.then((leave) => leave?.());
    this.leave = undefined;
    this.tails.clear();
    this.unreadable.clear();
  }

  private checkPeriodically(): void {
    this.timer = this.clock.after(LOOK_EVERY_MS, () => {
      this.checkPeriodically();
      // A failed subscription is retried; until it succeeds, these reads find all news.
      this.leave ??= this.subscribe();
      for (const tail of this.tails.values()) tail.check();
    });
  }

  private async subscribe(): Promise<(() => void) | undefined> {
    try {
      const leave = await this.backend.onAnnouncement('appended', (announcement) => {
        if (announcement.kind === 'appended' && isPartitionKey(announcement.partition))
          this.tails.get(partitionIndexOf(announcement.partition))?.announced();
        else {
          this.resync();
          void this.endIfClosed();
        }
      });
      // Announcements from before the subscription was active were missed.
      this.resync();
      return leave;
    } catch {
      this.leave = undefined;
      return undefined;
    }
  }

  private resync(): void {
    for (const tail of [...this.tails.values()]) tail.announced();
  }

  /** A backend that was closed has no news: a subscription that nobody ends keeps no timer. */
  private async endIfClosed(): Promise<void> {
    try {
      await this.backend.ping();
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'backend_closed') return;
      this.timer?.();
      this.timer = undefined;
    }
  }

  private noteFault(partition: number, error: unknown): void {
    const before = this.unreadable.size;
    if (error === undefined) this.unreadable.delete(partition);
    else this.unreadable.add(partition);
    const after = this.unreadable.size;
    if ((before === 0) === (after === 0)) return;
    for (const listener of [...this.faultListeners]) listener(error);
  }
}

/** The hub of a backend in this process. */
export const hubOf = perBackend((backend, clock: Clock) => new LogHub(backend, clock));
