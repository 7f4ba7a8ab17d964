/**
 * A reservation of a handler: renewed while the handler runs, released when it ends without settling.
 *
 * A renewal is sent a sixth of the `ttl` after the previous one, whether or not that was answered. Handlers can hold the
 * event loop twice in a turn (behind the sockets and in `setImmediate`), each time for less than two thirds of the
 * lease, before the timer fires. So the room survives what the lease survives if
 *
 *     ttl / 6 + 2 * (2 / 3) * lease <= ttl
 *
 * which holds from 8/5 of the lease on. The default is 5/3.
 */
import type { Amounts } from '../../../model/budget/facts.js';
import { EngineError } from '../../../model/errors.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { isUnanswered } from '../lease/answers.js';
import { amountsFor, type AmountsOf, type BudgetWords } from './amounts.js';

export interface BudgetReservation<Dimension extends string = string> extends AsyncDisposable {
  readonly amounts: Amounts;
  /**
   * Records the usage, which may be less or more than the reserved amount. Resolves with the overrun: usage beyond the
   * room of the budget, normally empty. Usage of a reservation that has lapsed meanwhile is recorded too; what others
   * have taken of its room is overrun. A repetition with the same usage records nothing.
   * @throws InvalidDefinitionError for a dimension that the budget does not have; EngineError the errors of the call,
   *   such as `idempotency_conflict` after a settlement with other usage
   */
  settle(used: AmountsOf<Dimension>): Promise<Amounts>;
  /** Returns all of it; `await using` does so at the end of its block. Does nothing if it was settled or released. */
  release(): Promise<void>;
}

export interface HeldOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  /** Repeats a call until it is answered, while the worker owns the execution. */
  readonly ask: <T>(call: () => Promise<T>) => Promise<T>;
  /** Makes a call of the handler. */
  readonly during: <T>(call: () => Promise<T>) => Promise<T>;
  /** Follows a promise of the handler, whose rejection is never an unhandled one. */
  readonly follow: <T>(what: string, made: Promise<T>) => Promise<T>;
  readonly budgetId: string;
  readonly words: BudgetWords;
  readonly reservationId: string;
  readonly amounts: Amounts;
  readonly ttlMs: number;
  /** When the reservation was asked for, on the worker's clock. */
  readonly askedAt: number;
  readonly leaseEpoch: number;
  /** Whether the handler has ended, or lost its execution. */
  readonly isOver: () => boolean;
}

/** Longest interval between two checks of the handler, ms. */
const MAX_TICK_MS = 1_000;
/** Part of the ttl after which a reservation is renewed. */
const RENEWAL_SHARE = 1 / 6;

/** How long the reservations of handlers are that ask for no `ttl`, ms: see above. */
export const defaultTtlMs = (leaseTtlMs: number): number =>
  Math.min(Math.max(Math.ceil((leaseTtlMs * 5) / 3), LIMITS.minReservationTtlMs), LIMITS.maxReservationTtlMs);

export class Held implements BudgetReservation {
  private timer: Cancel | undefined;
  /** When the next renewal is due, whether or not the last one was answered. */
  private renewAt: number;
  private isClosed = false;

  constructor(private readonly options: HeldOptions) {
    this.renewAt = options.askedAt + options.ttlMs * RENEWAL_SHARE;
    // The answer may have been read late, and the handler may hold the event loop next.
    this.keep();
  }

  get amounts(): Amounts {
    return this.options.amounts;
  }

  settle(used: AmountsOf<string>): Promise<Amounts> {
    return this.options.follow('settle', this.settled(used));
  }

  private async settled(used: AmountsOf<string>): Promise<Amounts> {
    const usage = amountsFor('settle()', this.options.words, used);
    this.close();
    const { backend, ask, during, budgetId, reservationId, leaseEpoch } = this.options;
    const args = { budgetId, reservationId, usage, leaseEpoch };
    const outcome = await during(() => ask(() => backend.settleReservation(args)));
    return outcome.kind === 'settled' ? outcome.overrun : {};
  }

  release(): Promise<void> {
    return this.options.follow('release', this.released(this.options.ask));
  }

  /** @param ask makes the call */
  private async released(ask: HeldOptions['ask']): Promise<void> {
    if (this.isClosed) return;
    this.close();
    const { backend, during, budgetId, reservationId } = this.options;
    try {
      await during(() => ask(() => backend.releaseReservation({ budgetId, reservationId })));
    } catch (error) {
      // A server that was emptied holds nothing for it.
      if (!(error instanceof EngineError && error.code === 'reservation_not_found')) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  private close(): void {
    this.isClosed = true;
    this.timer?.();
  }

  /** Sends a renewal that is due, and looks again later. */
  private keep(): void {
    const { clock } = this.options;
    const now = clock.now();
    if (now >= this.renewAt) void this.renew(now);
    this.timer = clock.after(Math.min(MAX_TICK_MS, this.renewAt - now), () => this.tick());
  }

  private tick(): void {
    if (!this.options.isOver()) this.keep();
    // If the release fails, the reservation lapses.
    else this.released((call) => call()).catch(() => undefined);
  }

  private async renew(now: number): Promise<void> {
    const { backend, clock, budgetId, reservationId, ttlMs } = this.options;
    this.renewAt = now + ttlMs * RENEWAL_SHARE;
    try {
      await backend.renewReservation({ budgetId, reservationId, ttlMs });
    } catch (error) {
      // Repeated with the next tick, unless the reservation has ended; then its settlement tells what that cost.
      if (isUnanswered(error)) this.renewAt = clock.now();
      else this.timer?.();
    }
  }
}
