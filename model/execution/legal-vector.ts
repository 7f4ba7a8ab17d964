/** Which combinations of the seven dimensions of a state vector are legal. Source: spec 01. */
import type { ReadonlyExecution } from './facts.js';
import {
  BLOCKS,
  isHeld,
  stateVector,
  type BlockingReason,
  type BlockReason,
  type EligibilityState,
  type PublicState,
  type StateVector,
} from './situation.js';

const PUBLIC_STATES: Readonly<Record<Exclude<StateVector['terminalOutcome'], 'none'>, PublicState>> = {
  success: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
  skipped: 'skipped',
};

/** The public state as a function of three dimensions (spec 01 section 3.9). */
function publicStateOf({ lifecyclePhase, eligibilityState, terminalOutcome }: StateVector): PublicState {
  if (terminalOutcome !== 'none') return PUBLIC_STATES[terminalOutcome];
  if (lifecyclePhase === 'active' || lifecyclePhase === 'suspended') return lifecyclePhase;
  if (eligibilityState === 'blocked_by_budget' || eligibilityState === 'blocked_by_quota') return 'rate_limited';
  if (eligibilityState === 'blocked_by_dependencies') return 'waiting_children';
  return eligibilityState === 'not_eligible_until_time' ? 'delayed' : 'waiting';
}

/** The reason of a block by its eligibility (spec 01 section 3.5). */
const BLOCKED_BY: Readonly<Partial<Record<EligibilityState, BlockReason>>> = {
  blocked_by_budget: 'waiting_for_budget',
  blocked_by_quota: 'waiting_for_quota',
  blocked_by_route: 'waiting_for_capable_worker',
  blocked_by_lane_state: 'paused_by_policy',
};
const isBlockReason = (reason: BlockingReason): reason is BlockReason => Object.hasOwn(BLOCKS, reason);

/** Whether every blocked execution has a reason for it. */
function isBlockedAsNamed({ eligibilityState, blockingReason }: StateVector): boolean {
  return (
    BLOCKED_BY[eligibilityState] === (isBlockReason(blockingReason) ? blockingReason : undefined) &&
    (blockingReason === 'paused_by_operator') === (eligibilityState === 'blocked_by_operator') &&
    (blockingReason === 'waiting_for_children') === (eligibilityState === 'blocked_by_dependencies')
  );
}

/** Whether the seven dimensions agree with each other (spec 01 invariants 1 to 7). */
export function isLegalVector(vector: StateVector): boolean {
  const { lifecyclePhase, ownershipState, eligibilityState, terminalOutcome, attemptState, blockingReason } = vector;
  const waits = eligibilityState === 'not_eligible_until_time';
  return (
    vector.publicState === publicStateOf(vector) &&
    (lifecyclePhase === 'active') === (ownershipState !== 'unowned') &&
    (ownershipState === 'leased') === (attemptState === 'running_attempt') &&
    (lifecyclePhase === 'runnable') === (eligibilityState !== 'not_applicable') &&
    (lifecyclePhase === 'terminal') === (terminalOutcome !== 'none') &&
    (blockingReason === 'waiting_for_retry_backoff') === (waits && attemptState === 'pending_retry_attempt') &&
    (blockingReason === 'waiting_for_delay' || blockingReason === 'waiting_for_resume_delay') ===
      (waits && attemptState !== 'pending_retry_attempt') &&
    (lifecyclePhase === 'suspended' || isBlockedAsNamed(vector)) &&
    (blockingReason === 'none') === (ownershipState === 'leased' || lifecyclePhase === 'terminal') &&
    (blockingReason === 'waiting_for_worker') ===
      (eligibilityState === 'eligible_now' || (lifecyclePhase === 'active' && ownershipState !== 'leased')) &&
    (!attemptState.startsWith('pending_') || lifecyclePhase === 'runnable')
  );
}

/** Ownership in the words of the contract (spec 01 section 3.2). */
export function ownershipIsNamed(it: ReadonlyExecution): boolean {
  const { ownershipState, eligibilityState } = stateVector(it);
  return (
    (ownershipState === 'leased') === (it.situation === 'running') &&
    (ownershipState === 'lease_expired_reclaimable') === (it.situation === 'lease_expired') &&
    (ownershipState === 'lease_revoked') === (it.situation === 'lease_revoked') &&
    (eligibilityState === 'eligible_now' || eligibilityState === 'blocked_by_operator') ===
      (it.situation === 'ready') &&
    (eligibilityState === 'blocked_by_operator') === (it.situation === 'ready' && isHeld(it))
  );
}
