/**
 * Kinds of work that the worker does not claim for a while, because a handler of that kind blocked the event loop until
 * leases were lost. Other work gets most of the worker's time, however many such executions wait.
 */
import type { Cancel, Clock } from '../../engine/clock.js';

/** The rest is this many times as long as the block. */
const REST_SHARE = 4;
const MAX_REST_MS = 60_000;

export class RestingKinds {
  private readonly resting = new Map<string, Cancel>();

  /** @param onChange called when a kind begins or ends its rest */
  constructor(
    private readonly clock: Clock,
    private readonly onChange: () => void,
  ) {}

  /** The kinds that may be claimed now. */
  without(kinds: readonly string[] | undefined): readonly string[] | undefined {
    return this.resting.size === 0 ? kinds : kinds?.filter((kind) => !this.resting.has(kind));
  }

  /** Lets a kind rest that has blocked the event loop for so long. @returns for how long it rests, ms */
  rest(kind: string, blockedMs: number): number {
    const restMs = Math.min(MAX_REST_MS, blockedMs * REST_SHARE);
    this.resting.get(kind)?.();
    this.resting.set(
      kind,
      this.clock.after(restMs, () => {
        this.resting.delete(kind);
        this.onChange();
      }),
    );
    this.onChange();
    return restMs;
  }

  close(): void {
    for (const cancel of this.resting.values()) cancel();
    this.resting.clear();
  }
}
