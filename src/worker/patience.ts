/** Waits for a condition, with a time limit that can change. */
import { afterAndIo, type Clock } from '../engine/clock.js';

export class Patience {
  private look: (() => void) | undefined;

  constructor(
    private readonly clock: Clock,
    /** The condition. */
    private readonly isOver: () => boolean,
  ) {}

  /** Call this when the condition or the limit may have changed. */
  changed(): void {
    this.look?.();
  }

  /** Resolves when the condition holds, or at the time `limit()` on the worker's clock, whichever is first. */
  async wait(limit: () => number): Promise<void> {
    while (!this.isOver() && limit() > this.clock.now()) {
      await new Promise<void>((resolve) => {
        const cancel = afterAndIo(this.clock, limit() - this.clock.now(), resolve);
        this.look = () => {
          cancel();
          resolve();
        };
      });
    }
    this.look = undefined;
  }
}
