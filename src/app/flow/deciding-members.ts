/**
 * Which of the members that ended badly make their flow fail. A member does not if all its downstream members continued
 * without it, or were not needed themselves: it lost a race, or its parent handled its failure.
 */
import type { EdgeSnapshot, FlowMember } from '../../../model/flow/reads.js';
import { LIMITS } from '../../../model/limits.js';
import type { Listed, Members } from './listed-members.js';

/** Whether a member may have continued without one of its upstreams: its group was a race, or it has children. */
const hasRaced = ({ group }: FlowMember): boolean =>
  group !== undefined && (group.round > 0 || (group.policy.kind !== 'all_of' && group.groupState === 'satisfied'));

/** Whether the downstream of an edge continued without its upstream. */
function wentOnWithout({ edgeState, late, round }: EdgeSnapshot, { group, publicState }: FlowMember): boolean {
  // The downstream used the result of the upstream, which ended badly only in a later replay.
  if (edgeState === 'satisfied' && !late) return false;
  if (round > 0) return publicState === 'completed';
  // The group of a parent is the group of its children: the parent has run.
  return group !== undefined && (group.round > 0 || group.groupState === 'satisfied');
}

/**
 * At most `limit` deciding members. Edges are read only if some member of the flow may have continued without an
 * upstream. An unreadable member may have needed its upstreams.
 *
 * @param flow all members of the flow
 * @param bad the members that ended badly
 */
export async function decidingOf(
  { backend, call }: Listed,
  { members: all, damaged }: Members,
  bad: readonly FlowMember[],
  limit = Infinity,
): Promise<readonly FlowMember[]> {
  if (bad.length === 0 || !all.some(hasRaced)) return bad.slice(0, limit);
  const members = new Map(all.map((member) => [member.executionId, member]));
  const known = new Map<string, Promise<boolean>>();

  const isNeeded = (executionId: string): Promise<boolean> => {
    let needed = known.get(executionId);
    if (needed === undefined) known.set(executionId, (needed = isNeededBySome(executionId)));
    return needed;
  };

  const isNeededBySome = async (executionId: string): Promise<boolean> => {
    let cursor: string | undefined;
    let isOfNone = true;
    do {
      const page = await call(() =>
        backend.listEdges({ executionId, direction: 'outgoing', cursor, limit: LIMITS.maxListPage }),
      );
      if (page.damaged.length > 0) return true;
      for (const edge of page.edges) {
        isOfNone = false;
        if (damaged.includes(edge.downstreamExecutionId)) return true;
        const downstream = members.get(edge.downstreamExecutionId);
        if (downstream === undefined || wentOnWithout(edge, downstream)) continue;
        if (await isNeeded(edge.downstreamExecutionId)) return true;
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return isOfNone;
  };

  const deciding: FlowMember[] = [];
  for (const member of bad) {
    if (await isNeeded(member.executionId)) deciding.push(member);
    if (deciding.length >= limit) break;
  }
  return deciding;
}
