/**
 * What is due for flows: walks continue, a flow that was not sealed in time is cancelled, and the members of a finished
 * flow are purged in reverse order of joining, then the flow itself. Unfinished walks end with what they concern. Each
 * of these is alone in its pass over due work, because it changes what else is due.
 */
import { present } from '../core/present.js';
import type { Event } from '../events.js';
import type { Context } from '../operation.js';
import { executionIdOf, partitionIndexOf } from '../ids.js';
import { PURGE_UNITS } from '../limits.js';
import type { View } from '../view.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { ofPurge } from '../schedule/retention.js';
import { cancellingOf, factsOfTask, isOfFlow, walkIdOf, type Task } from './tasks.js';
import { UNITS_OF_A_WALK } from './cascade.js';
import type { ReadonlyFlow, Walk, WalkKind } from './facts.js';
import type { Aftermath } from './settle.js';
import { hasBuildDeadline } from './state.js';

/** The cancellation reason of a flow that was not sealed before its build deadline. */
export const BUILD_TIMED_OUT = 'flow_build_timed_out';

/** How a walk continues. */
export function walkOn(walk: Readonly<Walk>, partition: string, limit: number): Aftermath {
  const { walkKind: kind, walkFlow: flow, walkOf, cursor } = walk;
  const about = executionIdOf(partitionIndexOf(partition), isOfFlow(kind) ? flow : present(walkOf));
  return { flow, walk: { task: { kind, flow, about, cursor }, units: Math.min(limit, UNITS_OF_A_WALK) } };
}

interface FlowContext extends Pick<Context, 'now'> {
  readonly partition: string;
  readonly limit: number;
}

/** What is due for a flow. */
export function dueOfFlow(
  view: View,
  flow: ReadonlyFlow,
  context: FlowContext,
): { readonly events: readonly Event[]; readonly aftermath?: Aftermath } {
  if (!hasBuildDeadline(flow)) return { events: forgetting(view, flow, context) };
  const { flow: id } = flow;
  const cancelled = { cancellationPolicy: 'cancel_all', cancelReason: BUILD_TIMED_OUT } as const;
  const about = executionIdOf(partitionIndexOf(context.partition), id);
  return {
    events: [{ type: 'flow_cancelled', flow: id, at: context.now, ...cancelled }],
    aftermath: { flow: id, tasks: [cancellingOf(id, about)] },
  };
}

/** Purges part of a finished flow: some members, or the flow if no members are left. */
function forgetting(view: View, { flow, isPurging }: ReadonlyFlow, context: FlowContext): readonly Event[] {
  const { now, limit } = context;
  const count = Math.max(1, Math.floor(limit / PURGE_UNITS));
  const members = view.flows.members(flow, Number.MAX_SAFE_INTEGER, count, true);
  if (members.length === 0) return [...endsOfWalks(view, flow, [], context), { type: 'flow_purged', flow, at: now }];
  const gone = ofPurge(members, limit);
  return [
    ...(isPurging ? [] : [{ type: 'flow_purge_begun' as const, flow, at: now }]),
    ...endsOfWalks(view, flow, gone, context),
    ...gone.map(({ executionId }) => ({ type: 'execution_purged' as const, executionId, at: now })),
  ];
}

/**
 * Ends the walks of a flow that is being purged and of the members that go. All members have ended and none can run
 * again, so no member waits for such a walk.
 */
function endsOfWalks(
  view: View,
  flow: string,
  members: readonly ReadonlyExecution[],
  { now, partition }: FlowContext,
): readonly Event[] {
  const itself = executionIdOf(partitionIndexOf(partition), flow);
  const walksOf = (kinds: readonly WalkKind[], about: string): Task[] =>
    kinds.map((kind) => ({ kind, flow, about, cursor: '' }));
  return [
    ...walksOf(['cancel', 'evaluate'], itself),
    ...members.flatMap(({ executionId }) => walksOf(['resolve', 'siblings'], executionId)),
  ]
    .map((task) => ({ walkId: walkIdOf(task), ...factsOfTask(task) }))
    .filter(({ walkId }) => view.flows.walk(walkId) !== undefined)
    .map((walk) => ({ type: 'walk_ended', at: now, ...walk }));
}
