/** Lists the members of a flow, and finds the members that make it fail. */
import { SIBLING_SATISFIED } from '../../../model/flow/cancellation.js';
import type { FlowMember } from '../../../model/flow/reads.js';
import type { AnswerOf } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import type { FailedMember } from '../../shared/errors.js';
import { ChildRows, failedMemberOf, unreadableMember } from './child-rows.js';
import { decidingOf } from './deciding-members.js';
import type { FlowState } from './flow.js';

/** Members that one call lists. */
const PAGE = 100;
/** Members that errors, events and explanations name. */
export const MAX_NAMED = 10;

const BAD_ENDS: ReadonlySet<string> = new Set(['failed', 'cancelled', 'expired']);
const ENDS: ReadonlySet<string> = new Set(['completed', 'skipped', ...BAD_ENDS]);

export type FlowSnapshot = NonNullable<AnswerOf<'describeFlow'>>;

/** How to read the members of a flow. */
export interface Listed {
  readonly backend: Backend;
  readonly flowId: string;
  /** Repeats a read for a while when the store cannot be reached. */
  readonly call: <T>(read: () => Promise<T>) => Promise<T>;
}

/** Whether a member has ended. */
export const hasEnded = ({ publicState }: Pick<FlowMember, 'publicState'>): boolean => ENDS.has(publicState);

/** Whether members may still join a flow. None joins one that was cancelled while it was being built. */
export const isBeingBuilt = ({ building, publicFlowState }: FlowSnapshot): boolean =>
  building && publicFlowState !== 'cancelled';

/** Whether members of a flow may still do something. */
export const isLive = (flow: FlowSnapshot): boolean =>
  isBeingBuilt(flow) || Object.keys(flow.members).some((state) => !ENDS.has(state));

/** Whether a member did not complete, and was neither skipped nor cancelled because its race was decided. */
export const endedBadly = ({ publicState, cancellationReason }: FlowMember): boolean =>
  BAD_ENDS.has(publicState) && cancellationReason !== SIBLING_SATISFIED;

/** Members on a page; `damaged`: the ids of members with unreadable records. */
export type Members = Pick<AnswerOf<'listFlowMembers'>, 'members' | 'damaged'>;

/** Pages of members, in the order in which they joined. */
export async function* memberPages({ backend, flowId, call }: Listed): AsyncGenerator<Members, void> {
  let cursor: number | undefined;
  do {
    const page = await call(() => backend.listFlowMembers({ flowId, cursor, limit: PAGE }));
    yield page;
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** Members that make a failed flow fail, at most `limit`, and unreadable members, each of which may be one. */
export async function firstDeciding(listed: Listed, limit: number): Promise<Members> {
  const [all, damaged] = [[] as FlowMember[], [] as string[]];
  for await (const page of memberPages(listed)) {
    all.push(...page.members);
    damaged.push(...page.damaged);
  }
  return { members: await decidingOf(listed, { members: all, damaged }, all.filter(endedBadly), limit), damaged };
}

/** Members with the reasons of their ends, for errors, events and explanations; at most ten, unreadable ones last. */
export async function named({ backend, call }: Listed, { members, damaged }: Members): Promise<FailedMember[]> {
  const rows = new ChildRows(backend, call);
  const readable = members.slice(0, MAX_NAMED).map(async (member) => failedMemberOf(await rows.ofMember(member)));
  return [...(await Promise.all(readable)), ...damaged.map((id) => unreadableMember(id))].slice(0, MAX_NAMED);
}

/** Members that make a flow fail, at most ten. Unreadable members are included, because each may have failed. */
export async function failedOf(listed: Listed, { publicFlowState }: FlowSnapshot): Promise<readonly FailedMember[]> {
  return publicFlowState === 'failed' ? named(listed, await firstDeciding(listed, MAX_NAMED)) : [];
}

/**
 * The state of a flow for users of the app. In the engine, a flow with a cancelled member has failed, and one with a
 * member that depends on others is blocked although another one is only waiting for a worker.
 *
 * @param decidingCount number of members that make it fail, or may do so because they are unreadable
 */
export function stateBy({ publicFlowState, members }: FlowSnapshot, decidingCount: number): FlowState {
  switch (publicFlowState) {
    case 'failed':
      return decidingCount === 0 ? 'completed' : 'failed';
    case 'open':
      return 'waiting';
    case 'blocked':
      return members.waiting === undefined ? 'blocked' : 'waiting';
    default:
      return publicFlowState;
  }
}

/** The same; reads the members if they decide it. */
export async function stateOf(listed: Listed, flow: FlowSnapshot): Promise<FlowState> {
  if (flow.publicFlowState !== 'failed') return stateBy(flow, 0);
  const { members, damaged } = await firstDeciding(listed, 1);
  return stateBy(flow, members.length + damaged.length);
}
