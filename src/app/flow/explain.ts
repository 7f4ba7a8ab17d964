/** Explains why a flow does not progress: what its free members wait for, and which members did not complete. */
import type { FlowMember } from '../../../model/flow/reads.js';
import type { Explanation } from '../../engine/explain.js';
import { describeMembers } from '../../shared/errors.js';
import { decidingOf } from './deciding-members.js';
import { unlessUnreadable } from '../../shared/unreadable.js';
import { unreadableMember } from './child-rows.js';
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
const MAX_DESCRIBED = 3;

/** Whether the member waits for other members. */
const waitsForOthers = ({ group }: FlowMember): boolean => group?.groupState === 'pending';

/** @param explained explains one member */
export async function explainFlow(
  listed: Listed,
  flow: FlowSnapshot,
  explained: (executionId: string) => Promise<Explanation>,
): Promise<FlowExplanation> {
  const { free, waiting, bad, damaged } = await sorted(listed, flow);
  const state = stateBy(flow, bad.length + damaged.length);
  // While a flow is being built, none of its members is free to run.
  const shown = (free.length > 0 ? free : waiting).slice(0, MAX_NAMED);
  const [tried, ended] = await Promise.all([
    Promise.all(
      shown.map(({ executionId: id, executionKind: task }) =>
        unlessUnreadable(
          async () => ({ id, task, ...(await explained(id)) }),
          (message) => unreadableMember(id, message),
        ),
      ),
    ),
    named(listed, { members: bad, damaged }),
  ]);
  const [members, unexplained] = [tried.filter((it) => 'because' in it), tried.filter((it) => 'state' in it)];
  const failed = [...ended, ...unexplained].slice(0, MAX_NAMED);
  const counts = { waiting: waiting.length, more: free.length - Math.min(free.length, MAX_NAMED) };
  const unreadableCount = damaged.length + unexplained.length;
  const sentence =
    members.length === 0 && (!isLive(flow) || unreadableCount === 0)
      ? endOf(flow, state, failed, bad.length + damaged.length)
      : sentenceOf(members, free.length, waiting.length, unreadableCount);
  return { state, members, ...counts, failed, sentence };
}

/** Sorts the members of a flow: free to run, waiting for other members, ended so that the flow fails, unreadable. */
async function sorted(listed: Listed, flow: FlowSnapshot) {
  const [free, waiting, bad] = [[] as FlowMember[], [] as FlowMember[], [] as FlowMember[]];
  const damaged: string[] = [];
  if (!isLive(flow) && flow.publicFlowState === 'completed') return { free, waiting, bad, damaged };
  const all: FlowMember[] = [];
  const isCancelled = flow.publicFlowState === 'cancelled';
  for await (const page of memberPages(listed)) {
    damaged.push(...page.damaged);
    for (const member of page.members) {
      all.push(member);
      if (!hasEnded(member)) (waitsForOthers(member) ? waiting : free).push(member);
      // Members that were cancelled with the flow explain nothing.
      else if (endedBadly(member) && !(isCancelled && member.publicState === 'cancelled')) bad.push(member);
    }
  }
  return { free, waiting, bad: await decidingOf(listed, { members: all, damaged }, bad), damaged };
}

function endOf(
  { cancelReason = '', publicFlowState }: FlowSnapshot,
  state: FlowState,
  failed: FlowExplanation['failed'],
  failedCount: number,
): string {
  const why = publicFlowState === 'cancelled' ? cancelReason : '';
  const shown = failed.slice(0, MAX_DESCRIBED);
  const more = failedCount - shown.length;
  const members = [describeMembers(shown), ...(more > 0 ? [`${more} more`] : [])].filter((part) => part !== '');
  return `It ended ${[state, why, members.join('; ')].filter((part) => part !== '').join(': ')}.`;
}

function sentenceOf(
  members: FlowExplanation['members'],
  freeCount: number,
  waitingCount: number,
  unreadableCount: number,
): string {
  const shown = members.slice(0, MAX_DESCRIBED).map(({ task, sentence }) => `${task}: ${sentence}`);
  const more = freeCount - shown.length;
  const others = [
    ...(more > 0 ? [`${more} more ${more === 1 ? 'member has' : 'members have'} not ended.`] : []),
    ...(freeCount > 0 && waitingCount > 0
      ? [`${waitingCount} ${waitingCount === 1 ? 'member waits' : 'members wait'} for these.`]
      : []),
    ...(unreadableCount > 0
      ? [`${unreadableCount} ${unreadableCount === 1 ? 'member is' : 'members are'} unreadable.`]
      : []),
  ];
  return [...shown, ...others].join(' ');
}
