/** Of a flow that is created whole: which members wait for others, and where each will wait for a worker. */
import { partitionKeyOf } from '../../../model/ids.js';
import type { WaitingMember } from '../../engine/local-flows.js';
import { localOfferOf } from '../tasks/offer.js';
import type { Graph, Policy } from './graph.js';
import { memberId, type PlacedFlow } from './members.js';

/** Those whose claims can travel with completions. */
export function waitingMembersOf({ nodes }: Graph, placed: PlacedFlow): WaitingMember[] {
  const partition = partitionKeyOf(placed.partition);
  return nodes.flatMap(({ task, upstreams, policy }) => {
    const work = upstreams.length === 0 ? undefined : localOfferOf(partition, task);
    if (work === undefined) return [];
    const ids = upstreams.map((upstream) => memberId(placed, upstream));
    return [{ upstreams: ids, needed: neededOf(policy, ids.length), work }];
  });
}

function neededOf(policy: Policy, count: number): number {
  if (policy.kind === 'all_of') return count;
  return policy.kind === 'any_of' ? 1 : policy.k;
}
