/**
 * What time does to flows: walks go on, and the members of a flow that has finished are forgotten, the last that joined
 * first, then the flow itself. Both are alone in their pass over due work: what they do changes what else is due.
 */
import type { Event } from '../events.js';
import type { Context } from '../core/operation.js';
import { executionIdOf, partitionIndexOf } from '../ids.js';
import { PURGE_UNITS } from '../limits.js';
import type { View } from '../view.js';
import { isOfFlow, UNITS_OF_A_WALK } from './cascade.js';
import type { ReadonlyFlow, Walk } from './facts.js';
import type { Aftermath } from './settle.js';

/** How a walk goes on. */
export function walkOn(walk: Readonly<Walk>, partition: string, limit: number): Aftermath {
  const { walkKind: kind, walkFlow: flow, walkOf, cursor } = walk;
  const about = executionIdOf(partitionIndexOf(partition), isOfFlow(kind) ? flow : (walkOf as string));
  return { flow, walk: { task: { kind, flow, about, cursor }, units: Math.min(limit, UNITS_OF_A_WALK) } };
}

/** What is forgotten of a flow that has finished: some members, or, when there is none left, the flow. */
export function forgetting(
  view: View,
  { flow, isPurging }: ReadonlyFlow,
  { now }: Pick<Context, 'now'>,
  limit: number,
): readonly Event[] {
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
