/** A reservation of a handler: renewed while the handler runs, released when it ends without settling. */
import type { Amounts } from '../../../model/budget/facts.js';
import { EngineError } from '../../../model/errors.js';
import type { Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { amountsFor, type AmountsOf, type BudgetWords } from './amounts.js';

export interface BudgetReservation<Dimension extends string = string> extends AsyncDisposable {
  readonly amounts: Amounts;
  /**
   * Records the usage, which may be less or more than the reserved amount. Resolves with the overrun: usage beyond the
   * room of the budget, normally empty.
   * @throws InvalidDefinitionError for a dimension that the budget does not have; EngineError the errors of the call
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
  readonly budgetId: string;
  readonly words: BudgetWords;
  readonly reservationId: string;
  readonly amounts: Amounts;
  readonly ttlMs: number;
  readonly leaseEpoch: number;
  /** Whether the handler has ended, or lost its execution. */
  readonly isOver: () => boolean;
}

/** Longest interval between two checks of the handler, ms. */
const MAX_TICK_MS = 1_000;

export class Held implements BudgetReservation {
  private timer: Cancel | undefined;
  private renewedAt: number;
  private isClosed = false;

  constructor(private readonly options: HeldOptions) {
    this.renewedAt = options.clock.now();
    this.wait();
  }

  get amounts(): Amounts {
    return this.options.amounts;
  }

  async settle(used: AmountsOf<string>): Promise<Amounts> {
    const usage = amountsFor('settle()', this.options.words, used);
    this.close();
    const { backend, ask, during, budgetId, reservationId, leaseEpoch } = this.options;
    const args = { budgetId, reservationId, usage, leaseEpoch };
    const outcome = await during(() => ask(() => backend.settleReservation(args)));
    return outcome.kind === 'settled' ? outcome.overrun : {};
  }

  async release(): Promise<void> {
    if (this.isClosed) return;
    this.close();
    const { backend, during, budgetId, reservationId } = this.options;
    try {
      await during(() => backend.releaseReservation({ budgetId, reservationId }));
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

  private wait(): void {
    const { clock, ttlMs } = this.options;
    this.timer = clock.after(Math.min(MAX_TICK_MS, ttlMs / 3), () => void this.tick());
  }

  private async tick(): Promise<void> {
    const { clock, ttlMs, isOver } = this.options;
    if (isOver()) {
      // If the release fails, the reservation lapses.
      await this.release().catch(() => undefined);
      return;
    }
    if (clock.now() - this.renewedAt >= ttlMs / 3 && !(await this.renew())) return;
    if (!this.isClosed) this.wait();
  }

  /** Whether the reservation still exists. A failed call is repeated with the next tick. */
  private async renew(): Promise<boolean> {
    const { backend, clock, budgetId, reservationId, ttlMs } = this.options;
    try {
      await backend.renewReservation({ budgetId, reservationId, ttlMs });
      this.renewedAt = clock.now();
      return true;
    } catch (error) {
      return isRetryable(error);
    }
  }
}
