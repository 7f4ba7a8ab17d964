/**
 * Reservations of a run that was taken over, in this attempt or an earlier one. Its lost owner may have reserved the same
 * amount, and that reservation holds the room until it lapses, so a refusal for lack of room is not final before then.
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

/** Whether a reservation that ends can make room for these amounts. */
const fitsWithoutOthers = (outcome: Reserved, amounts: Amounts): outcome is Reserved & { kind: 'hard_breach' } =>
  outcome.kind === 'hard_breach' && outcome.currentUsage + amountOf(amounts, outcome.dimension) <= outcome.hardLimit;

/**
 * Reserves. If a lost owner of the run may still hold its reservation, a refusal is followed by another call when there
 * is room, and is final when that reservation must have ended.
 * @throws TaskAbort when the handler is aborted meanwhile
 */
export async function reserveAfterLoss(
  attempt: Attempt,
  { backend, clock }: { readonly backend: Backend; readonly clock: Clock },
  { budgetId, amounts, ttlMs }: { readonly budgetId: string; readonly amounts: Amounts; readonly ttlMs: number },
  reserve: () => Promise<Reserved>,
): Promise<Reserved> {
  const { executionId } = attempt;
  // The lost owner renewed nothing after its lease had ended, which was before the claim that took over. Its lease may
  // have been longer than this one.
  const endOfLost = async (): Promise<number> => {
    const info = await untilAnswered(attempt, clock, () => backend.readExecutionInfo({ executionId }));
    const { lastLostAt = 0, lostLeaseMs = 0 } = info ?? {};
    return lastLostAt + Math.max(ttlMs, defaultTtlMs(lostLeaseMs)) + LATE_MS;
  };
  let end = attempt.claimed.leaseEpoch > 1 ? undefined : 0;
  const isOver = (): boolean => end !== undefined && attempt.serverNow() >= end;
  for (;;) {
    const outcome = await reserve();
    if (!fitsWithoutOthers(outcome, amounts) || isOver()) return outcome;
    end ??= await endOfLost();
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
