/** Explains why a flow does not progress: what its free members wait for, and which members did not complete. */
import type { FlowMember } from '../../../model/flow/reads.js';
import type { Explanation } from '../../engine/explain.js';
import { describeMembers } from '../../shared/errors.js';
import { decidingOf } from './deciding-members.js';
import type { FlowExplanation, FlowState } from './flow.js';
import {
  endedBadly,
  hasEnded,
  isLive,
  MAX_NAMED,
  memberPages,
  named,
  stateBy,
  type FlowSnapshot,
  type Listed,
} from './listed-members.js';

/** Most members that the sentence names. */
const MAX_TOLD = 3;

/** Whether the member waits for other members. */
const waitsForOthers = ({ group }: FlowMember): boolean => group?.groupState === 'pending';

/** @param explained explains one member */
export async function explainFlow(
  listed: Listed,
  flow: FlowSnapshot,
  explained: (executionId: string) => Promise<Explanation>,
): Promise<FlowExplanation> {
  const { free, waiting, bad } = await sorted(listed, flow);
  const state = stateBy(flow, bad.length);
  // While a flow is being built, none of its members is free to run.
  const shown = (free.length > 0 ? free : waiting).slice(0, MAX_NAMED);
  const [members, failed] = await Promise.all([
    Promise.all(
      shown.map(async ({ executionId: id, executionKind: task }) => ({ id, task, ...(await explained(id)) })),
    ),
    named(listed, bad.slice(0, MAX_NAMED)),
  ]);
  const counts = { waiting: waiting.length, more: free.length - Math.min(free.length, MAX_NAMED) };
  const sentence =
    members.length === 0 ? endOf(flow, state, failed, bad.length) : sentenceOf(members, free.length, waiting.length);
  return { state, members, ...counts, failed, sentence };
}

/** The members of a flow: those free to run, those that wait for others, and those that make it fail. */
async function sorted(listed: Listed, flow: FlowSnapshot) {
  const [free, waiting, bad] = [[] as FlowMember[], [] as FlowMember[], [] as FlowMember[]];
  if (!isLive(flow) && flow.publicFlowState === 'completed') return { free, waiting, bad };
  const all: FlowMember[] = [];
  const isCancelled = flow.publicFlowState === 'cancelled';
  for await (const page of memberPages(listed))
    for (const member of page) {
      all.push(member);
      if (!hasEnded(member)) (waitsForOthers(member) ? waiting : free).push(member);
      // Members that were cancelled with the flow explain nothing.
      else if (endedBadly(member) && !(isCancelled && member.publicState === 'cancelled')) bad.push(member);
    }
  return { free, waiting, bad: await decidingOf(listed, all, bad) };
}

function endOf(
  { cancelReason = '', publicFlowState }: FlowSnapshot,
  state: FlowState,
  failed: FlowExplanation['failed'],
  failedCount: number,
): string {
  const why = publicFlowState === 'cancelled' ? cancelReason : '';
  const shown = failed.slice(0, MAX_TOLD);
  const more = failedCount - shown.length;
  const members = [describeMembers(shown), ...(more > 0 ? [`${more} more`] : [])].filter((part) => part !== '');
  return `It ended ${[state, why, members.join('; ')].filter((part) => part !== '').join(': ')}.`;
}

function sentenceOf(members: FlowExplanation['members'], freeCount: number, waitingCount: number): string {
  const shown = members.slice(0, MAX_TOLD).map(({ task, sentence }) => `${task}: ${sentence}`);
  const more = freeCount - shown.length;
  const others = [
    ...(more > 0 ? [`${more} more ${more === 1 ? 'member has' : 'members have'} not ended.`] : []),
    ...(freeCount > 0 && waitingCount > 0
      ? [`${waitingCount} ${waitingCount === 1 ? 'member waits' : 'members wait'} for these.`]
      : []),
  ];
  return [...shown, ...others].join(' ');
}
