/** A timer for the next plan. It is set with every plan, and only restarted if it must fire sooner. */
import type { Cancel, Clock } from '../engine/clock.js';

export class PollTimer {
  private at = Infinity;
  private cancelTimer: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly fn: () => void,
  ) {}

  /** Calls the function at that time or earlier; never for an infinite time. */
  by(at: number): void {
    if (this.cancelTimer !== undefined && this.at <= at && at < Infinity) return;
    this.cancel();
    if (at === Infinity) return;
    this.at = at;
    // After 1 ms at least, so that a plan that asks for another at once is no busy loop.
    this.cancelTimer = this.clock.after(Math.max(1, at - this.clock.now()), () => {
      this.cancelTimer = undefined;
      this.fn();
    });
  }

  cancel(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }
}
