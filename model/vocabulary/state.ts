/**
 * The state vector as a value, for callers that get one from elsewhere, such as a database row or another engine. The
 * engine itself stores situations, from which only legal vectors follow. Source: spec 01 sections 3.9 and 4.
 */
import {
  SITUATIONS,
  WAITS_FOR,
  type BlockingReason,
  type EligibilityState,
  type PublicState,
  type StateVector,
  type TerminalOutcome,
} from '../execution/situation.js';

/** The dimensions that `derivePublicState` reads. */
export type PublicDimensions = Pick<StateVector, 'lifecyclePhase' | 'eligibilityState' | 'terminalOutcome'>;

const OF_OUTCOME: Readonly<Record<TerminalOutcome, PublicState>> = {
  success: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
  skipped: 'skipped',
  // Corrupt.
  none: 'failed',
};

const OF_ELIGIBILITY: Readonly<Record<EligibilityState, PublicState>> = {
  eligible_now: 'waiting',
  not_eligible_until_time: 'delayed',
  blocked_by_dependencies: 'waiting_children',
  blocked_by_budget: 'rate_limited',
  blocked_by_quota: 'rate_limited',
  blocked_by_route: 'waiting',
  blocked_by_lane_state: 'waiting',
  blocked_by_operator: 'waiting',
  // Corrupt.
  not_applicable: 'waiting',
};

/** The public state: a function of three dimensions. Never throws; a corrupt state maps as in the contract's table. */
export function derivePublicState({
  lifecyclePhase,
  eligibilityState,
  terminalOutcome,
}: PublicDimensions): PublicState {
  switch (lifecyclePhase) {
    case 'terminal':
      return OF_OUTCOME[terminalOutcome];
    case 'suspended':
      return 'suspended';
    case 'active':
      return 'active';
    default:
      return OF_ELIGIBILITY[eligibilityState];
  }
}

/** Blocking reasons of suspended work. */
const SUSPENSIONS: ReadonlySet<BlockingReason> = new Set(Object.values(WAITS_FOR));

/** Rows of the table of legal combinations; an operator's hold is a row without a situation of its own (R11). */
const ROWS = [
  ...Object.values(SITUATIONS),
  { ...SITUATIONS.ready, eligibility: 'blocked_by_operator', blocking: 'paused_by_operator' } as const,
];

/** Attempt states that can be pending in a row, by what the row waits for. */
function isPossibleAttempt({ lifecyclePhase, ownershipState, blockingReason, attemptState }: StateVector): boolean {
  switch (lifecyclePhase) {
    case 'terminal':
      return attemptState === 'attempt_terminal' || attemptState === 'none';
    case 'suspended':
      return attemptState === 'attempt_interrupted';
    case 'active':
      return attemptState === (ownershipState === 'leased' ? 'running_attempt' : 'attempt_interrupted');
    default:
      if (blockingReason === 'waiting_for_retry_backoff') return attemptState === 'pending_retry_attempt';
      if (blockingReason === 'waiting_for_resume_delay') return attemptState === 'attempt_interrupted';
      if (blockingReason === 'waiting_for_delay') {
        return attemptState === 'pending_first_attempt' || attemptState === 'attempt_interrupted';
      }
      return attemptState.startsWith('pending_') || attemptState === 'attempt_interrupted';
  }
}

/** Success and failure need an attempt; other endings may come before the first one. */
const isPossibleEnd = ({ terminalOutcome, attemptState }: StateVector): boolean =>
  (terminalOutcome !== 'success' && terminalOutcome !== 'failed') || attemptState === 'attempt_terminal';

/** Whether the seven dimensions are a legal combination: a row of the contract's table. */
export function isConsistent(vector: StateVector): boolean {
  const isRow = ROWS.some(
    (row) =>
      row.phase === vector.lifecyclePhase &&
      row.ownership === vector.ownershipState &&
      row.eligibility === vector.eligibilityState &&
      row.outcome === vector.terminalOutcome &&
      (row.phase === 'suspended' ? SUSPENSIONS.has(vector.blockingReason) : row.blocking === vector.blockingReason),
  );
  return (
    isRow && isPossibleAttempt(vector) && isPossibleEnd(vector) && vector.publicState === derivePublicState(vector)
  );
}
