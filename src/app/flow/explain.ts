/** Why a flow does not go on: what its members that could run wait for. */
import type { FlowMember } from '../../../model/flow/reads.js';
import type { Explanation } from '../../engine/explain.js';
import type { FlowExplanation, FlowState } from './flow.js';

/** Members that are explained. */
const MAX_EXPLAINED = 10;
/** Members that the sentence is about. */
const MAX_TOLD = 3;

/** Whether other members have to complete before it goes on. */
const waitsForOthers = ({ group }: FlowMember): boolean => group?.groupState === 'pending';

/**
 * @param live members that have not ended
 * @param explained explains one of them
 */
export async function explainFlow(
  state: FlowState,
  live: AsyncIterable<FlowMember>,
  explained: (executionId: string) => Promise<Explanation>,
): Promise<FlowExplanation> {
  const [free, waiting] = [[] as FlowMember[], [] as FlowMember[]];
  for await (const member of live) (waitsForOthers(member) ? waiting : free).push(member);
  // Of a flow that is still being built, no member is free to run.
  const told = (free.length > 0 ? free : waiting).slice(0, MAX_EXPLAINED);
  const members = await Promise.all(
    told.map(async ({ executionId: id, executionKind: task }) => ({ id, task, ...(await explained(id)) })),
  );
  const counts = { waiting: waiting.length, more: free.length - Math.min(free.length, MAX_EXPLAINED) };
  return { state, members, ...counts, sentence: sentenceOf(state, members, free.length, waiting.length) };
}

function sentenceOf(
  state: FlowState,
  members: FlowExplanation['members'],
  freeCount: number,
  waitingCount: number,
): string {
  if (members.length === 0) return `It ended ${state}.`;
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
