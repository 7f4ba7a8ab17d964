/** One timer for the next plan. Set again all the time, it is only moved when the plan is wanted sooner. */
import type { Cancel, Clock } from '../engine/clock.js';

export class PollTimer {
  private at = Infinity;
  private cancelTimer: Cancel | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly fn: () => void,
  ) {}

  /** Calls the function at that time or earlier; not at all when the time is infinite. */
  by(at: number): void {
    if (this.cancelTimer !== undefined && this.at <= at && at < Infinity) return;
    this.cancel();
    if (at === Infinity) return;
    this.at = at;
    // Never at once: a plan that asks for itself again would be a busy loop.
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
