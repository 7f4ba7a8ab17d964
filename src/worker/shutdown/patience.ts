/** Waits for conditions, one after the other, each with a time limit that can change. */
import { afterAndIo, type Clock } from '../../engine/clock.js';

export class Patience {
  private look: (() => void) | undefined;

  constructor(private readonly clock: Clock) {}

  /** Call this when a condition or a limit may have changed. */
  changed(): void {
    this.look?.();
  }

  /** Resolves when the condition holds, or at the time `limit()` on the worker's clock, whichever is first. */
  async wait(isOver: () => boolean, limit: () => number): Promise<void> {
    while (!isOver() && limit() > this.clock.now()) {
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
