/**
 * The situations an execution can be in. The contract describes state by a vector of seven dimensions; only the
 * combinations of spec 01 section 4 are legal. We store the row, not the dimensions: an illegal vector cannot be
 * written down, and every dimension is a lookup.
 */
import { keysOf } from '../core/tables.js';
import type { SuspendReason } from '../suspension/facts.js';
import type { ActiveExecution, ReadonlyExecution } from './facts.js';

export type LifecyclePhase = 'runnable' | 'active' | 'suspended' | 'terminal';
export type OwnershipState = 'unowned' | 'leased' | 'lease_expired_reclaimable' | 'lease_revoked';
export type EligibilityState =
  | 'eligible_now'
  | 'not_eligible_until_time'
  | 'blocked_by_dependencies'
  | 'blocked_by_budget'
  | 'blocked_by_quota'
  | 'blocked_by_route'
  | 'blocked_by_lane_state'
  | 'blocked_by_operator'
  | 'not_applicable';
export type BlockingReason =
  | 'none'
  | 'waiting_for_worker'
  | 'waiting_for_delay'
  | 'waiting_for_retry_backoff'
  | 'waiting_for_resume_delay'
  | 'waiting_for_children'
  | 'waiting_for_budget'
  | 'waiting_for_quota'
  | 'waiting_for_capable_worker'
  | 'waiting_for_signal'
  | 'waiting_for_approval'
  | 'waiting_for_callback'
  | 'waiting_for_tool_result'
  | 'paused_by_policy'
  | 'paused_by_operator';
export type TerminalOutcome = 'none' | 'success' | 'failed' | 'cancelled' | 'expired' | 'skipped';
export type AttemptState =
  | 'none'
  | 'pending_first_attempt'
  | 'pending_retry_attempt'
  | 'pending_replay_attempt'
  | 'attempt_interrupted'
  | 'running_attempt'
  | 'attempt_terminal';
export type PublicState =
  | 'waiting'
  | 'delayed'
  | 'rate_limited'
  | 'waiting_children'
  | 'active'
  | 'suspended'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'expired'
  | 'skipped';

interface Row {
  /** The stored letter of the situation; never reused. */
  readonly letter: string;
  readonly phase: LifecyclePhase;
  readonly ownership: OwnershipState;
  readonly eligibility: EligibilityState;
  readonly blocking: BlockingReason;
  readonly outcome: TerminalOutcome;
  readonly publicState: PublicState;
}

const runnable = (
  letter: string,
  eligibility: EligibilityState,
  blocking: BlockingReason,
  publicState: PublicState,
): Row => ({
  letter,
  phase: 'runnable',
  ownership: 'unowned',
  eligibility,
  blocking,
  outcome: 'none',
  publicState,
});
const active = (letter: string, ownership: OwnershipState, blocking: BlockingReason): Row => ({
  letter,
  phase: 'active',
  ownership,
  eligibility: 'not_applicable',
  blocking,
  outcome: 'none',
  publicState: 'active',
});
const terminal = (letter: string, outcome: TerminalOutcome, publicState: PublicState): Row => ({
  letter,
  phase: 'terminal',
  ownership: 'unowned',
  eligibility: 'not_applicable',
  blocking: 'none',
  outcome,
  publicState,
});

/**
 * Every situation and its row in the table of legal combinations. Two rows share a situation with another: a delay set
 * at creation and one set by a worker (R2, R3) differ in `nextAttempt`, and operator hold (R11) is a fact beside the
 * situation (ruling 23).
 */
export const SITUATIONS = {
  /** Waits in the queue of its lane for a worker (R1). */
  ready: runnable('r', 'eligible_now', 'waiting_for_worker', 'waiting'),
  /** Waits until a time set by its creator or its worker (R2, R3). */
  delayed: runnable('d', 'not_eligible_until_time', 'waiting_for_delay', 'delayed'),
  /** Waits for the time of its next retry (R4). */
  retry_backoff: runnable('b', 'not_eligible_until_time', 'waiting_for_retry_backoff', 'delayed'),
  /** Was resumed, and waits until its resume policy allows it to continue (R5). */
  resume_delay: runnable('s', 'not_eligible_until_time', 'waiting_for_resume_delay', 'delayed'),
  /** Waits for executions that it depends on (R6). */
  blocked_dependencies: runnable('e', 'blocked_by_dependencies', 'waiting_for_children', 'waiting_children'),
  /** Waits for a budget (R7). */
  blocked_budget: runnable('g', 'blocked_by_budget', 'waiting_for_budget', 'rate_limited'),
  /** Waits for a quota (R8). */
  blocked_quota: runnable('q', 'blocked_by_quota', 'waiting_for_quota', 'rate_limited'),
  /** Waits for a worker with its capabilities to be registered (R9). */
  blocked_route: runnable('w', 'blocked_by_route', 'waiting_for_capable_worker', 'waiting'),
  /** Waits for its lane (R10). */
  blocked_lane: runnable('l', 'blocked_by_lane_state', 'paused_by_policy', 'waiting'),
  /** A worker holds its lease (A1). The lease may have lapsed unnoticed: time decides, not this word. */
  running: active('a', 'leased', 'none'),
  /** The end of its lease was recorded; waits to be reclaimed (A2). */
  lease_expired: active('x', 'lease_expired_reclaimable', 'waiting_for_worker'),
  /** An operator took the lease away; waits to be reclaimed (A3). */
  lease_revoked: active('v', 'lease_revoked', 'waiting_for_worker'),
  /** Waits for signals (S1). */
  suspended: {
    ...runnable('u', 'not_applicable', 'waiting_for_signal', 'suspended'),
    phase: 'suspended',
  },
  completed: terminal('C', 'success', 'completed'),
  failed: terminal('F', 'failed', 'failed'),
  cancelled: terminal('X', 'cancelled', 'cancelled'),
  expired: terminal('E', 'expired', 'expired'),
  /** Ended because its dependencies can no longer be met (T5). */
  skipped: terminal('S', 'skipped', 'skipped'),
} as const satisfies Record<string, Row>;

export type Situation = keyof typeof SITUATIONS;

/** Every public state, in the order of the table. */
export const PUBLIC_STATES = [...new Set(Object.values<Row>(SITUATIONS).map(({ publicState }) => publicState))];
export const SITUATION_NAMES = keysOf(SITUATIONS);

/** The reasons for which a scheduler can block work, and the situation of each (spec 01 section 3.5). */
export const BLOCKS = {
  waiting_for_budget: 'blocked_budget',
  waiting_for_quota: 'blocked_quota',
  waiting_for_capable_worker: 'blocked_route',
  paused_by_policy: 'blocked_lane',
} as const satisfies Partial<Record<BlockingReason, Situation>>;
export type BlockReason = keyof typeof BLOCKS;
export const BLOCK_REASONS = keysOf(BLOCKS);

/** Public states of executions that have not ended. */
export const LIVE_PUBLIC_STATES = [
  ...new Set(
    Object.values<Row>(SITUATIONS)
      .filter((row) => row.outcome === 'none')
      .map(({ publicState }) => publicState),
  ),
];

/** What the next claim of a runnable execution starts, and its stored letter. */
export const NEXT_ATTEMPTS = {
  /** Its first attempt. */
  first: 'f',
  /** A retry. */
  retry: 'r',
  /** The interrupted attempt again. */
  resume: 's',
  /** The first attempt after a replay. */
  replay: 'p',
} as const;
export type NextAttempt = keyof typeof NEXT_ATTEMPTS;

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
  replay: 'pending_replay_attempt',
};

type Placed = Pick<ReadonlyExecution, 'situation' | 'nextAttempt' | 'totalAttemptCount' | 'heldAt'> &
  Partial<Pick<ReadonlyExecution, 'suspendReason'>>;

/** The public vector of claimable work under an operator's hold (R11). Other situations keep their own vector. */
const HELD = { eligibility: 'blocked_by_operator', blocking: 'paused_by_operator' } as const;

/** What a suspended execution waits for, by the reason that its worker gave (spec 01 section 3.6). */
export const WAITS_FOR: Readonly<Record<SuspendReason, BlockingReason>> = {
  waiting_for_signal: 'waiting_for_signal',
  waiting_for_approval: 'waiting_for_approval',
  waiting_for_callback: 'waiting_for_callback',
  waiting_for_tool_result: 'waiting_for_tool_result',
  waiting_for_operator_review: 'paused_by_operator',
  manual_pause: 'paused_by_operator',
  paused_by_policy: 'paused_by_policy',
  paused_by_budget: 'waiting_for_budget',
  step_boundary: 'waiting_for_signal',
};

/** The seven dimensions of an execution's state. */
export function stateVector(execution: Placed): StateVector {
  const row: Row = SITUATIONS[execution.situation];
  const { eligibility, blocking } = execution.situation === 'ready' && isHeld(execution) ? HELD : row;
  return {
    lifecyclePhase: row.phase,
    ownershipState: row.ownership,
    eligibilityState: eligibility,
    blockingReason:
      execution.situation === 'suspended' ? WAITS_FOR[execution.suspendReason ?? 'waiting_for_signal'] : blocking,
    terminalOutcome: row.outcome,
    attemptState: attemptState(execution, row),
    publicState: row.publicState,
  };
}

function attemptState(execution: Placed, row: Row): AttemptState {
  if (row.phase === 'runnable') return PENDING[execution.nextAttempt];
  if (row.phase === 'terminal') return execution.totalAttemptCount > 0 ? 'attempt_terminal' : 'none';
  return row.ownership === 'leased' ? 'running_attempt' : 'attempt_interrupted';
}

// Comparisons instead of table look-ups, because every transition asks several times. A test compares them with the
// table.
export const isActiveSituation = (situation: Situation): situation is ActiveExecution['situation'] =>
  situation === 'running' || isReclaimable(situation);
export const isTerminal = (situation: Situation): boolean =>
  situation === 'completed' ||
  situation === 'failed' ||
  situation === 'cancelled' ||
  situation === 'expired' ||
  situation === 'skipped';
export const isRunnable = (situation: Situation): boolean =>
  situation !== 'suspended' && !isActiveSituation(situation) && !isTerminal(situation);
/** Whether the situation ends by itself at a set time. */
export const isDelayed = (situation: Situation): boolean =>
  situation === 'delayed' || situation === 'retry_backoff' || situation === 'resume_delay';
/** Whether a scheduler keeps it out of its queue. */
export const isBlocked = (situation: Situation): situation is (typeof BLOCKS)[BlockReason] =>
  situation === 'blocked_budget' ||
  situation === 'blocked_quota' ||
  situation === 'blocked_route' ||
  situation === 'blocked_lane';
/** Whether its last owner was lost. */
export const isReclaimable = (situation: Situation): situation is 'lease_expired' | 'lease_revoked' =>
  situation === 'lease_expired' || situation === 'lease_revoked';
/** Whether claims take executions in this situation: it waits for a worker, or its last owner was lost. */
export const isClaimable = (situation: Situation): boolean => situation === 'ready' || isReclaimable(situation);
/** Whether an operator holds the execution. While it is owned, the hold takes effect afterwards. */
export const isHeld = ({ heldAt }: Pick<ReadonlyExecution, 'heldAt'>): boolean => heldAt !== undefined;
/** Whether a worker has a grant for the execution, so that other claims skip it. */
export const isGranted = ({ grantExpiresAt }: Pick<ReadonlyExecution, 'grantExpiresAt'>): boolean =>
  grantExpiresAt !== undefined;
/**
 * Whether the execution is in its queue, where claims find it: the situation allows it, and neither a hold nor a grant
 * prevents it. Queues, claims and canonical states all use this; the Lua twin is `ff.is_queued`.
 */
export const isQueued = (execution: Pick<ReadonlyExecution, 'situation' | 'heldAt' | 'grantExpiresAt'>): boolean =>
  isClaimable(execution.situation) && !isHeld(execution) && !isGranted(execution);

/** Whether the execution has an owner, or one that was lost: then it has a lease, an attempt and a time. */
export function isActive(execution: ReadonlyExecution): execution is ActiveExecution {
  return isActiveSituation(execution.situation);
}
