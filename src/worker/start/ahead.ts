/**
 * Work that was claimed ahead and waits for a slot. Claiming ahead takes work away from other workers, so work that has
 * waited for a third of its lease, or for 5 seconds if that is less, is handed back. The worker then limits claim-ahead
 * to as many executions as it started in that time. The limit grows by a quarter each time that as many have started.
 */
import type { Cancel, Clock } from '../../engine/clock.js';
import type { Attempt } from '../attempt/attempt.js';

const MAX_HOLD_MS = 5_000;

/** How long claimed work that cannot start is kept from other workers, ms. */
export const maxHoldMs = (leaseTtlMs: number): number => Math.min(leaseTtlMs / 3, MAX_HOLD_MS);

export interface AheadOptions {
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Most executions that may wait. */
  readonly claimAhead: number;
  /** Called when the limit of waiting executions changes. */
  readonly onLimit: (count: number) => void;
  /** Called for an execution that waited too long. */
  readonly onOverdue: (attempt: Attempt) => void;
}

interface Waiting {
  readonly attempt: Attempt;
  readonly since: number;
  /** Number of handlers started before it was added. */
  readonly startedBefore: number;
}

export class Ahead {
  /** In the order in which they start: highest priority first, then oldest first. */
  private waiting: Waiting[] = [];
  private timer: Cancel | undefined;
  private limit: number;
  /** Number of handlers started so far. */
  private startedInAll = 0;
  private growsAt = Infinity;

  constructor(private readonly options: AheadOptions) {
    this.limit = options.claimAhead;
  }

  /** Number of waiting executions. */
  get size(): number {
    return this.waiting.length;
  }

  private get holdMs(): number {
    return maxHoldMs(this.options.leaseTtlMs);
  }

  add(attempt: Attempt): void {
    const before = this.waiting.findLastIndex((each) => each.attempt.priority >= attempt.priority);
    const waiting = { attempt, since: this.options.clock.now(), startedBefore: this.startedInAll };
    this.waiting.splice(before + 1, 0, waiting);
    this.timer ??= this.options.clock.after(this.holdMs, () => this.handBack());
  }

  /** Removes the next attempt to start. */
  next(): Attempt | undefined {
    return this.waiting.shift()?.attempt;
  }

  /** Removes an attempt; false if it was not waiting. */
  remove(attempt: Attempt): boolean {
    const index = this.waiting.findIndex((each) => each.attempt === attempt);
    if (index !== -1) this.waiting.splice(index, 1);
    return index !== -1;
  }

  /** Removes all attempts, for a worker that ends. */
  takeAll(): Attempt[] {
    this.timer?.();
    this.timer = undefined;
    return this.waiting.splice(0).map(({ attempt }) => attempt);
  }

  /** Call this when a handler is started; after enough of them, the limit grows. */
  started(): void {
    if (++this.startedInAll >= this.growsAt) this.limitTo(this.limit + Math.max(1, Math.floor(this.limit / 4)));
  }

  private limitTo(count: number): void {
    this.limit = Math.min(count, this.options.claimAhead);
    this.growsAt = this.limit === this.options.claimAhead ? Infinity : this.startedInAll + this.limit + 1;
    this.options.onLimit(this.limit);
  }

  private handBack(): void {
    this.timer = undefined;
    const until = this.options.clock.now() - this.holdMs;
    const overdue = this.waiting.filter(({ since }) => since <= until);
    this.waiting = this.waiting.filter(({ since }) => since > until);
    // Before they are handed back, or the worker claims them again at once.
    if (overdue.length > 0)
      this.limitTo(this.startedInAll - Math.min(...overdue.map(({ startedBefore }) => startedBefore)));
    for (const { attempt } of overdue) this.options.onOverdue(attempt);
    if (this.waiting.length === 0) return;
    const oldest = Math.min(...this.waiting.map(({ since }) => since));
    this.timer = this.options.clock.after(oldest - until, () => this.handBack());
  }
}
