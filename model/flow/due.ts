/**
 * What time does to flows: walks go on, a flow that nobody has built to its end is cancelled, and the members of one that has
 * finished are forgotten, the last that joined first, then the flow itself. Each is alone in its pass over due work: what it
 * does changes what else is due.
 */
import type { Event } from '../events.js';
import type { Context } from '../core/operation.js';
import { executionIdOf, partitionIndexOf } from '../ids.js';
import { PURGE_UNITS } from '../limits.js';
import type { View } from '../view.js';
import { cancellingOf, isOfFlow, UNITS_OF_A_WALK } from './cascade.js';
import type { ReadonlyFlow, Walk } from './facts.js';
import type { Aftermath } from './settle.js';
import { isUnsealed } from './state.js';

/** Why a flow is cancelled whose build deadline has come. */
export const BUILD_TIMED_OUT = 'flow_build_timed_out';

/** How a walk goes on. */
export function walkOn(walk: Readonly<Walk>, partition: string, limit: number): Aftermath {
  const { walkKind: kind, walkFlow: flow, walkOf, cursor } = walk;
  const about = executionIdOf(partitionIndexOf(partition), isOfFlow(kind) ? flow : (walkOf as string));
  return { flow, walk: { task: { kind, flow, about, cursor }, units: Math.min(limit, UNITS_OF_A_WALK) } };
}

/** What happens to a flow whose time has come. */
export function dueOfFlow(
  view: View,
  flow: ReadonlyFlow,
  { now, partition, limit }: Pick<Context, 'now'> & { readonly partition: string; readonly limit: number },
): { readonly events: readonly Event[]; readonly aftermath?: Aftermath } {
  if (!isUnsealed(flow)) return { events: forgetting(view, flow, now, limit) };
  const { flow: id } = flow;
  const cancelled = { cancellationPolicy: 'cancel_all', cancelReason: BUILD_TIMED_OUT } as const;
  const about = executionIdOf(partitionIndexOf(partition), id);
  return {
    events: [{ type: 'flow_cancelled', flow: id, at: now, ...cancelled }],
    aftermath: { flow: id, tasks: [cancellingOf(id, about)] },
  };
}

/** What is forgotten of a flow that has finished: some members, or, when there is none left, the flow. */
function forgetting(view: View, { flow, isPurging }: ReadonlyFlow, now: number, limit: number): readonly Event[] {
  const count = Math.max(1, Math.floor(limit / PURGE_UNITS));
  const members = view.flows.members(flow, Number.MAX_SAFE_INTEGER, count, true);
  if (members.length === 0) return [{ type: 'flow_purged', flow, at: now }];
  const kept = members.findIndex(({ dueAt }) => dueAt === undefined || dueAt > now);
  const gone = kept === -1 ? members : members.slice(0, kept);
  return [
    ...(isPurging || gone.length === 0 ? [] : [{ type: 'flow_purge_begun' as const, flow, at: now }]),
    ...gone.map(({ executionId }) => ({ type: 'execution_purged' as const, executionId, at: now })),
    // Another one is to be kept for longer, or for good.
    ...(kept === -1 ? [] : [{ type: 'flow_finished' as const, flow, at: now, purgeAt: members[kept]?.dueAt }]),
  ];
}
