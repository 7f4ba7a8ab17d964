/**
 * The situations an execution can be in. The contract describes state by a vector of seven dimensions; only the
 * combinations of spec 01 section 4 are legal. We store the row, not the dimensions: an illegal vector cannot be
 * written down, and every dimension is a lookup. The rows that other domains add (blocked, suspended, skipped,
 * resume delay) slot in here.
 */

export type LifecyclePhase = 'runnable' | 'active' | 'suspended' | 'terminal';
export type OwnershipState = 'unowned' | 'leased' | 'lease_expired_reclaimable' | 'lease_revoked';
export type EligibilityState = 'eligible_now' | 'not_eligible_until_time' | 'not_applicable';
export type BlockingReason = 'none' | 'waiting_for_worker' | 'waiting_for_delay' | 'waiting_for_retry_backoff';
export type TerminalOutcome = 'none' | 'success' | 'failed' | 'cancelled' | 'expired';
export type AttemptState =
  | 'none'
  | 'pending_first_attempt'
  | 'pending_retry_attempt'
  | 'attempt_interrupted'
  | 'running_attempt'
  | 'attempt_terminal';
export type PublicState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'cancelled' | 'expired';

interface Row {
  readonly phase: LifecyclePhase;
  readonly ownership: OwnershipState;
  readonly eligibility: EligibilityState;
  readonly blocking: BlockingReason;
  readonly outcome: TerminalOutcome;
  readonly publicState: PublicState;
}

const runnable = (eligibility: EligibilityState, blocking: BlockingReason, publicState: PublicState): Row => ({
  phase: 'runnable',
  ownership: 'unowned',
  eligibility,
  blocking,
  outcome: 'none',
  publicState,
});
const active = (ownership: OwnershipState, blocking: BlockingReason): Row => ({
  phase: 'active',
  ownership,
  eligibility: 'not_applicable',
  blocking,
  outcome: 'none',
  publicState: 'active',
});
const terminal = (outcome: TerminalOutcome, publicState: PublicState): Row => ({
  phase: 'terminal',
  ownership: 'unowned',
  eligibility: 'not_applicable',
  blocking: 'none',
  outcome,
  publicState,
});

/** Every situation and its row in the table of legal combinations. */
export const SITUATIONS = {
  /** Waits in its lane's queue for a worker (R1). */
  ready: runnable('eligible_now', 'waiting_for_worker', 'waiting'),
  /** Waits until a time that its creator or its worker asked for (R2, R3). */
  delayed: runnable('not_eligible_until_time', 'waiting_for_delay', 'delayed'),
  /** Waits until its next try is due (R4). */
  retry_backoff: runnable('not_eligible_until_time', 'waiting_for_retry_backoff', 'delayed'),
  /** A worker holds its lease (A1). The lease may have lapsed unnoticed: time decides, not this word. */
  running: active('leased', 'none'),
  /** Its lease ran out and that was noticed; waits to be reclaimed (A2). */
  lease_expired: active('lease_expired_reclaimable', 'waiting_for_worker'),
  /** An operator took the lease away; waits to be reclaimed (A3). */
  lease_revoked: active('lease_revoked', 'waiting_for_worker'),
  completed: terminal('success', 'completed'),
  failed: terminal('failed', 'failed'),
  cancelled: terminal('cancelled', 'cancelled'),
  expired: terminal('expired', 'expired'),
} as const satisfies Record<string, Row>;

export type Situation = keyof typeof SITUATIONS;
export const SITUATION_NAMES = Object.keys(SITUATIONS) as Situation[];

/** What the next claim of a runnable execution starts: its first attempt, a retry, or the interrupted attempt again. */
export type NextAttempt = 'first' | 'retry' | 'resume';

export interface StateVector {
  readonly lifecyclePhase: LifecyclePhase;
  readonly ownershipState: OwnershipState;
  readonly eligibilityState: EligibilityState;
  readonly blockingReason: BlockingReason;
  readonly terminalOutcome: TerminalOutcome;
  readonly attemptState: AttemptState;
  readonly publicState: PublicState;
}

const PENDING: Record<NextAttempt, AttemptState> = {
  first: 'pending_first_attempt',
  retry: 'pending_retry_attempt',
  resume: 'attempt_interrupted',
};

/** The seven dimensions of an execution's state. */
export function stateVector(execution: {
  situation: Situation;
  nextAttempt: NextAttempt;
  totalAttemptCount: number;
}): StateVector {
  const row = SITUATIONS[execution.situation];
  return {
    lifecyclePhase: row.phase,
    ownershipState: row.ownership,
    eligibilityState: row.eligibility,
    blockingReason: row.blocking,
    terminalOutcome: row.outcome,
    attemptState: attemptState(execution, row),
    publicState: row.publicState,
  };
}

function attemptState(execution: { nextAttempt: NextAttempt; totalAttemptCount: number }, row: Row): AttemptState {
  if (row.phase === 'runnable') return PENDING[execution.nextAttempt];
  if (row.phase === 'terminal') return execution.totalAttemptCount > 0 ? 'attempt_terminal' : 'none';
  return row.ownership === 'leased' ? 'running_attempt' : 'attempt_interrupted';
}

// Compared and not looked up in the table: every transition asks these several times. A test holds them to the table.
export const isActive = (situation: Situation): boolean => situation === 'running' || isReclaimable(situation);
export const isTerminal = (situation: Situation): boolean =>
  situation === 'completed' || situation === 'failed' || situation === 'cancelled' || situation === 'expired';
export const isRunnable = (situation: Situation): boolean => situation === 'ready' || isDelayed(situation);
/** Whether the situation ends by itself at a time that was asked for. */
export const isDelayed = (situation: Situation): boolean => situation === 'delayed' || situation === 'retry_backoff';
/** Whether a claim may take the execution: it waits in its lane's queue, or its last owner lost it. */
export const isReclaimable = (situation: Situation): boolean =>
  situation === 'lease_expired' || situation === 'lease_revoked';
export const isClaimable = (situation: Situation): boolean => situation === 'ready' || isReclaimable(situation);
