/** The waiting members of a flow that one call creates, and the place where each will wait for a worker. */
import type { WaitingMember } from '../../engine/local-flows.js';
import { localOfferOf } from '../tasks/offer.js';
import type { Graph, Policy } from './graph.js';
import type { FlowIds } from './ids.js';

/** Members that can be claimed in the call that completes their last upstream. */
export function waitingMembersOf({ nodes }: Graph, partition: string, ids: FlowIds): WaitingMember[] {
  return nodes.flatMap(({ task, upstreams, policy }) => {
    const work = upstreams.length === 0 ? undefined : localOfferOf(partition, task);
    if (work === undefined) return [];
    const needed = neededOf(policy, upstreams.length);
    return [{ upstreams: upstreams.map((upstream) => ids.member(upstream)), needed, work }];
  });
}

function neededOf(policy: Policy, count: number): number {
  if (policy.kind === 'all_of') return count;
  return policy.kind === 'any_of' ? 1 : policy.k;
}
