/** Waiting for something to end, with a limit that can move. */
import { afterAndIo, type Clock } from '../engine/clock.js';

export class Patience {
  private look: (() => void) | undefined;

  constructor(
    private readonly clock: Clock,
    /** Whether what is waited for has ended. */
    private readonly isOver: () => boolean,
  ) {}

  /** Something has ended, or the limit has moved: looks again. */
  changed(): void {
    this.look?.();
  }

  /** Resolves when it is over, or at the time that `limit` says, whichever comes first. */
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
