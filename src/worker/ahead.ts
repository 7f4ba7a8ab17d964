/**
 * Work that was claimed ahead and waits for a slot. Claiming ahead takes work away from others: what has waited for a
 * third of its lease, or for 5 seconds if that is less, is handed back. Then it was too much, and the worker claims ahead
 * no more than it could start in that time; the limit grows again, by a quarter each time that as many have started.
 */
import type { Cancel, Clock } from '../engine/clock.js';
import type { Attempt } from './attempt.js';

const MAX_HOLD_MS = 5_000;

export interface AheadOptions {
  readonly clock: Clock;
  readonly leaseTtlMs: number;
  /** Executions that may wait at most. */
  readonly claimAhead: number;
  /** So many may wait from now on. */
  readonly onLimit: (count: number) => void;
  /** It waited too long. */
  readonly onOverdue: (attempt: Attempt) => void;
}

interface Waiting {
  readonly attempt: Attempt;
  readonly since: number;
  /** Executions that had been started before it came. */
  readonly startedBefore: number;
}

export class Ahead {
  /** In the order in which they start: the most urgent first, among equals the oldest. */
  private waiting: Waiting[] = [];
  private timer: Cancel | undefined;
  private limit: number;
  /** Handlers that were called, in all. */
  private startedInAll = 0;
  private growsAt = Infinity;

  constructor(private readonly options: AheadOptions) {
    this.limit = options.claimAhead;
  }

  /** Executions that wait. */
  get size(): number {
    return this.waiting.length;
  }

  private get holdMs(): number {
    return Math.min(this.options.leaseTtlMs / 3, MAX_HOLD_MS);
  }

  add(attempt: Attempt): void {
    const before = this.waiting.findLastIndex((each) => each.attempt.priority >= attempt.priority);
    const waiting = { attempt, since: this.options.clock.now(), startedBefore: this.startedInAll };
    this.waiting.splice(before + 1, 0, waiting);
    this.timer ??= this.options.clock.after(this.holdMs, () => this.handBack());
  }

  /** The one that starts next; it waits no more. */
  next(): Attempt | undefined {
    return this.waiting.shift()?.attempt;
  }

  /** Takes it out; false when it does not wait here. */
  remove(attempt: Attempt): boolean {
    const index = this.waiting.findIndex((each) => each.attempt === attempt);
    if (index !== -1) this.waiting.splice(index, 1);
    return index !== -1;
  }

  /** Takes all of them out, to be handed back because the worker ends. */
  takeAll(): Attempt[] {
    this.timer?.();
    this.timer = undefined;
    return this.waiting.splice(0).map(({ attempt }) => attempt);
  }

  /** A handler was called: after enough of them, more may wait again. */
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
    // Before they leave, or they are claimed again at once.
    if (overdue.length > 0)
      this.limitTo(this.startedInAll - Math.min(...overdue.map(({ startedBefore }) => startedBefore)));
    for (const { attempt } of overdue) this.options.onOverdue(attempt);
    if (this.waiting.length === 0) return;
    const oldest = Math.min(...this.waiting.map(({ since }) => since));
    this.timer = this.options.clock.after(oldest - until, () => this.handBack());
  }
}
