/**
 * Handlers that were aborted and do not settle. After a grace period they lose their slot, and the worker continues
 * without them. They still run and use memory and connections: when more handlers are stuck than the worker has slots,
 * it stops claiming until some of them have settled.
 */
import { afterAndIo, type Cancel, type Clock } from '../../engine/clock.js';
import type { Attempt } from '../attempt/attempt.js';

export interface StuckOptions {
  readonly clock: Clock;
  readonly slots: number;
  /** How long a handler may run after its abort, ms. */
  readonly graceMs: number;
  /** Called when the grace period of a handler is over: it loses its slot. */
  readonly onStuck: (attempt: Attempt) => void;
  /** Called when more handlers than slots are stuck (true), and when they no longer are (false). */
  readonly onTooMany: (tooMany: boolean) => void;
}

export class StuckHandlers {
  private readonly graces = new Map<Attempt, Cancel>();
  private readonly stuck = new Map<Attempt, number>();

  constructor(private readonly options: StuckOptions) {}

  /** Number of stuck handlers. */
  get size(): number {
    return this.stuck.size;
  }

  /** Whether more handlers are stuck than there are slots. */
  get tooMany(): boolean {
    return this.stuck.size > this.options.slots;
  }

  has(attempt: Attempt): boolean {
    return this.stuck.has(attempt);
  }

  /** Call this when a running handler was aborted. */
  startGrace(attempt: Attempt): void {
    const { clock, graceMs } = this.options;
    if (this.graces.has(attempt) || this.stuck.has(attempt)) return;
    // The answer that the handler waits for may have arrived unread, so sockets are read first.
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

  /**
   * Call this when a handler has settled. @returns how long it ran without a slot, ms; undefined if it was not stuck
   */
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

  /** Cancels all grace periods, because the worker ends. */
  close(): void {
    for (const cancel of this.graces.values()) cancel();
    this.graces.clear();
  }
}
