/**
 * Reservations that wait for room: as long as the handler asks for, or until what a lost owner of the run reserved has
 * lapsed. That owner, in this attempt or an earlier one, may have reserved the same amount, so a refusal for lack of room
 * is not final before then.
 */
import { amountOf } from '../../../model/budget/amounts.js';
import type { OutcomeOf } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import { sleep, type Clock } from '../../engine/clock.js';
import type { Attempt } from '../attempt/attempt.js';
import { untilAnswered } from '../checkpoints/calls.js';
import type { Amounts } from '../../../model/budget/facts.js';
import { defaultTtlMs } from './held.js';

type Reserved = OutcomeOf<'reserveBudget'>;

/** How often a refused run looks for room, ms. */
const INTERVAL_MS = 500;
/** How late the end of a reservation may be applied, ms. */
const LATE_MS = 2_000;

type Breach = Reserved & { readonly kind: 'hard_breach' };

/** Whether a reservation that ends can make room for these amounts. */
const fitsWithoutOthers = ({ currentUsage, dimension, hardLimit }: Breach, amounts: Amounts): boolean =>
  currentUsage + amountOf(amounts, dimension) <= hardLimit;

interface Asked {
  readonly budgetId: string;
  readonly amounts: Amounts;
  readonly ttlMs: number;
  /** How long the handler waits for room, ms. */
  readonly waitMs: number;
}

/**
 * Reserves. While the handler waits for room, or a lost owner of the run may still hold its reservation, a refusal is
 * followed by another call when there is room. An amount above the limit is refused at once.
 * @throws TaskAbort when the handler is aborted meanwhile
 */
export async function reserveInTime(
  attempt: Attempt,
  { backend, clock }: { readonly backend: Backend; readonly clock: Clock },
  { budgetId, amounts, ttlMs, waitMs }: Asked,
  reserve: () => Promise<Reserved>,
): Promise<Reserved> {
  const { executionId } = attempt;
  // The lost owner renewed nothing after its lease had ended, which was before the claim that took over. Its lease may
  // have been longer than this one.
  const readEndOfLost = async (): Promise<number> => {
    const info = await untilAnswered(attempt, clock, () => backend.readExecutionInfo({ executionId }));
    const { lastLostAt = 0, lostLeaseMs = 0 } = info ?? {};
    return lastLostAt + Math.max(ttlMs, defaultTtlMs(lostLeaseMs)) + LATE_MS;
  };
  const until = attempt.serverNow() + waitMs;
  let endOfLost = attempt.claimed.leaseEpoch > 1 ? undefined : 0;
  for (;;) {
    const outcome = await reserve();
    if (outcome.kind !== 'hard_breach' || amountOf(amounts, outcome.dimension) > outcome.hardLimit) return outcome;
    const mayBeHeldByLost = fitsWithoutOthers(outcome, amounts);
    if (mayBeHeldByLost && attempt.serverNow() >= until) endOfLost ??= await readEndOfLost();
    const end = Math.max(until, mayBeHeldByLost ? (endOfLost ?? 0) : 0);
    const isOver = (): boolean => attempt.serverNow() >= end;
    if (isOver()) return outcome;
    for (let isFull = true; isFull && !isOver(); ) {
      await sleep(clock, INTERVAL_MS, attempt.signal);
      attempt.throwIfAborted();
      // The refusal has marked the dimension as exhausted until the amount fits.
      const room = await untilAnswered(attempt, clock, () => backend.readBudgetRoom({ budgetId }));
      isFull = room.exhausted.includes(outcome.dimension);
    }
  }
}
