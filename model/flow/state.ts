/** The state of a flow, derived from its members on every read. Spec 08 section 2. */
import { keysOf } from '../core/tables.js';
import { SITUATIONS, type PublicState, type Situation } from '../execution/situation.js';
import type { ReadonlyFlow } from './facts.js';

/** Public states of a flow. */
export const PUBLIC_FLOW_STATES = ['open', 'running', 'blocked', 'completed', 'failed', 'cancelled'] as const;
export type PublicFlowState = (typeof PUBLIC_FLOW_STATES)[number];

/** Number of members by public state; states without members are omitted. */
export type MemberCounts = Readonly<Partial<Record<PublicState, number>>>;

export function memberCountsOf(tally: ReadonlyMap<Situation, number>): MemberCounts {
  const counts: Partial<Record<PublicState, number>> = {};
  for (const [situation, { publicState }] of Object.entries(SITUATIONS)) {
    const count = tally.get(situation as Situation) ?? 0;
    if (count > 0) counts[publicState] = (counts[publicState] ?? 0) + count;
  }
  return counts;
}

const ENDED_WELL: readonly PublicState[] = ['completed', 'skipped'];
const ENDED_BADLY: readonly PublicState[] = ['failed', 'cancelled', 'expired'];
const WAITING: readonly PublicState[] = ['suspended', 'delayed', 'rate_limited', 'waiting_children'];

/** Whether a flow is still building: none of its members starts, and it does not finish by itself. */
export const isUnsealed = ({ isBuilding, flowState }: Pick<ReadonlyFlow, 'isBuilding' | 'flowState'>): boolean =>
  isBuilding && flowState === 'open';

/** Whether no member and no edge can join a flow any more: a group with too few edges will never get those it needs. */
export const isComplete = ({ isClosed, flowState }: Pick<ReadonlyFlow, 'isClosed' | 'flowState'>): boolean =>
  isClosed || flowState === 'cancelled';

/** Whether the end of a flow was recorded: all its members have ended, and none has joined or run again since. */
export const hasFinished = ({ purgeAt, isKept }: Pick<ReadonlyFlow, 'purgeAt' | 'isKept'>): boolean =>
  purgeAt !== undefined || isKept;

/**
 * Whether a flow is cancelled at its build deadline. Until it is sealed, its members can neither run nor end, also after
 * a cancellation that leaves them alone (`flow_only`, which is the policy of an open flow too).
 */
export const hasBuildDeadline = (flow: ReadonlyFlow): boolean =>
  flow.isBuilding && flow.cancellationPolicy === 'flow_only' && !hasFinished(flow);

/** The first rule that matches applies. */
export function publicStateOf({ flowState }: Pick<ReadonlyFlow, 'flowState'>, counts: MemberCounts): PublicFlowState {
  if (flowState === 'cancelled') return 'cancelled';
  const any = (states: readonly PublicState[]): boolean => states.some((state) => counts[state] !== undefined);
  const states = keysOf(counts);
  const hasEnded = states.every((state) => ENDED_WELL.includes(state) || ENDED_BADLY.includes(state));
  if (states.length > 0 && hasEnded) return any(ENDED_BADLY) ? 'failed' : 'completed';
  if (any(['active'])) return 'running';
  return any(WAITING) ? 'blocked' : 'open';
}
