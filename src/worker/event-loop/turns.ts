/**
 * Turns of the event loop while handlers run. Handlers that do no I/O follow each other in promises, and would keep
 * timers and sockets of the process waiting: after a while, the next handlers begin behind a turn of the loop.
 */
import { afterIo, type Clock } from '../../engine/clock.js';
import type { Attempt } from '../attempt/attempt.js';
import type { TaskHandler } from '../handler/handler.js';

/** Handlers begin without a turn in between for this long, ms, however many of them wait. */
const TURN_AFTER_MS = 25;

export interface TurnsOptions {
  readonly clock: Clock;
  readonly begin: (attempt: Attempt, task: TaskHandler) => void;
  /** Called in every turn while handlers run. @returns whether handlers still run */
  readonly onTurn: () => boolean;
}

export class Turns {
  private isWatching = false;
  /** When the event loop last turned while handlers ran; Infinity for clocks without a loop. */
  private turnedAt = Infinity;
  private readonly waiting: { readonly attempt: Attempt; readonly task: TaskHandler }[] = [];

  constructor(private readonly options: TurnsOptions) {}

  /** Begins a handler now, or behind a turn of the event loop if the last turn is long ago. */
  begin(attempt: Attempt, task: TaskHandler): void {
    const { clock, begin } = this.options;
    if (clock.now() - this.turnedAt < TURN_AFTER_MS) begin(attempt, task);
    else if (this.waiting.push({ attempt, task }) === 1) afterIo(clock, () => this.beginWaiting());
  }

  /** Begins handlers behind a turn of the event loop, together, so that their endings share calls. */
  private beginWaiting(): void {
    const { clock, begin } = this.options;
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      begin(next.attempt, next.task);
      if (this.waiting.length > 0 && clock.now() - this.turnedAt >= TURN_AFTER_MS)
        return afterIo(clock, () => this.beginWaiting());
    }
  }

  /** Call this when a handler gets a slot: watches the turns until no handler runs. */
  watch(): void {
    if (this.isWatching) return;
    this.isWatching = true;
    const { clock, onTurn } = this.options;
    if (clock.eachTurn === undefined) return;
    this.turnedAt = clock.now();
    clock.eachTurn(() => {
      this.turnedAt = clock.now();
      this.isWatching = onTurn();
      return this.isWatching;
    });
  }
}
