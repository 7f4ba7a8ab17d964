/**
 * Handlers that do not settle although they were told to stop. After a grace they lose their slot: the worker goes on
 * without them. They still run, though, and use what they use: when there are more of them than the worker has slots, it
 * claims nothing more until some of them have settled.
 */
import { afterAndIo, type Cancel, type Clock } from '../engine/clock.js';
import type { Attempt } from './attempt.js';

export interface StuckOptions {
  readonly clock: Clock;
  readonly slots: number;
  /** How long a handler has from the signal to its end. */
  readonly graceMs: number;
  /** The grace is over: the handler loses its slot. */
  readonly onStuck: (attempt: Attempt) => void;
  /** There are more of them than slots (true), or not any more (false). */
  readonly onTooMany: (tooMany: boolean) => void;
}

export class StuckHandlers {
  private readonly graces = new Map<Attempt, Cancel>();
  private readonly stuck = new Map<Attempt, number>();

  constructor(private readonly options: StuckOptions) {}

  /** Handlers that run without a slot. */
  get size(): number {
    return this.stuck.size;
  }

  /** Whether there are more of them than slots. */
  get tooMany(): boolean {
    return this.stuck.size > this.options.slots;
  }

  has(attempt: Attempt): boolean {
    return this.stuck.has(attempt);
  }

  /** A running handler was told to stop. */
  told(attempt: Attempt): void {
    const { clock, graceMs } = this.options;
    if (this.graces.has(attempt) || this.stuck.has(attempt)) return;
    // It may have settled meanwhile, and what it waited for may be in the socket.
    this.graces.set(
      attempt,
      afterAndIo(clock, graceMs, () => {
        this.graces.delete(attempt);
        const before = this.tooMany;
        this.stuck.set(attempt, clock.now());
        this.options.onStuck(attempt);
        if (this.tooMany && !before) this.options.onTooMany(true);
      }),
    );
  }

  /** The handler has settled. How long it ran without a slot, ms; nothing when it did not. */
  settled(attempt: Attempt): number | undefined {
    this.graces.get(attempt)?.();
    this.graces.delete(attempt);
    const since = this.stuck.get(attempt);
    if (since === undefined) return undefined;
    const before = this.tooMany;
    this.stuck.delete(attempt);
    if (before && !this.tooMany) this.options.onTooMany(false);
    return this.options.clock.now() - since;
  }

  /** The worker ends: nobody waits for them any more. */
  close(): void {
    for (const cancel of this.graces.values()) cancel();
    this.graces.clear();
  }
}
