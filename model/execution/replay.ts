/**
 * replayExecution: runs a terminal execution again, as often as its policy allows. Cleared: result, failure,
 * cancellation, progress, and the counts that bound retries, reclaims and hand-backs. Kept: attempts, epochs, start
 * time, and recorded steps unless the caller discards them. A deadline that is over is dropped; a later one applies
 * again. Spec 04 section 4.8, ruling 50.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { endOf, walkIdOf } from '../flow/tasks.js';
import { awaitsOthers } from '../flow/group.js';
import type { ReadonlyFlow } from '../flow/facts.js';
import { reopening } from '../flow/members.js';
import { renewalOf, reopeningOf, type Renewal } from '../flow/renewal.js';
import type { View } from '../view.js';
import type { ReadonlyExecution } from './facts.js';
import { maxReplayCountOf } from './policy.js';
import { isTerminal } from './situation.js';

/** Why a member of a flow cannot run again yet: consequences of its end are pending, or its flow is not sealed. */
export const FLOW_UNSETTLED = 'flow_unsettled';
/** Why it cannot run again before others have: what it depends on has not completed. */
export const DEPENDENCIES_FAILED = 'dependencies_failed';

export const replayExecution = operation({
  name: 'replayExecution',
  args: z.strictObject({
    executionId: field.executionId,
    /** The reason, for the log. */
    reason: field.reason.default(''),
    /** The requester. */
    requestedBy: field.requester,
    /**
     * The number of replays that the caller has seen; with it, a call that is repeated after a lost reply replays once.
     */
    expectedReplayCount: field.count.optional(),
    /**
     * Whether the new run keeps recorded steps, waits with their outcomes, and signals (ruling 47). `discard` drops all
     * of them, including signals that no wait has consumed.
     */
    steps: z.enum(['keep', 'discard']).default('keep'),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('replayed'),
      executionId: echoed(field.executionId),
      /** `waiting_children` when its dependencies are undecided. */
      publicState: z.enum(['waiting', 'waiting_children']),
      /** Replays so far, this one included. */
      replayCount: field.count,
    }),
    /** It was replayed more often than the caller had seen. */
    z.object({ kind: z.literal('already_satisfied'), reason: z.enum(['already_replayed']), replayCount: field.count }),
  ]),
  rejects: [
    'execution_not_found',
    'execution_not_terminal',
    'max_replays_exhausted',
    'flow_already_terminal',
    'execution_not_eligible',
  ],
  partition: (args) => partitionOfExecution(args.executionId),
  wire: { shared: [], each: ['executionId', 'reason', 'requestedBy', 'expectedReplayCount', 'steps'] },
  memory: 'adds',
  decide(view, { executionId, reason, requestedBy, expectedReplayCount, steps }, { now }) {
    const execution = view.executions.get(executionId);
    if (execution === undefined) return reject('execution_not_found');
    const { replayCount } = execution;
    if (expectedReplayCount !== undefined && replayCount > expectedReplayCount)
      return accept({ kind: 'already_satisfied', reason: 'already_replayed', replayCount });
    if (!isTerminal(execution.situation)) return reject('execution_not_terminal');
    const cap = maxReplayCountOf(execution);
    if (replayCount >= cap) return reject('max_replays_exhausted', { maxReplayCount: String(cap) });
    const flow = execution.flow === undefined ? undefined : view.flows.get(execution.flow);
    const renewal = flow && renewalOf(view, execution, flow);
    const refusal = flowRefusal(view, execution, flow, renewal);
    if (refusal !== undefined) return refusal;
    const { reopened = [], resolvable = [] } = renewal ?? {};
    const isWaiting = awaitsOthers({ ...execution, groupState: renewal?.groupState ?? execution.groupState });
    const publicState = isWaiting ? 'waiting_children' : 'waiting';
    const decision = acceptAll({ kind: 'replayed', executionId, publicState, replayCount: replayCount + 1 } as const, [
      ...(flow === undefined ? [] : reopening(flow, now)),
      ...reopened.map((edge) => reopeningOf(edge, now)),
      {
        type: 'execution_replayed',
        executionId,
        at: now,
        replayCount: replayCount + 1,
        requestedBy,
        replayReason: reason,
        executionDeadlineAt: deadlineAfter(execution, now),
        checkpointsDiscarded: steps === 'discard' && hasPassed(execution),
        wasSkipped: execution.situation === 'skipped',
      },
    ]);
    return flow === undefined || reopened.length === 0
      ? decision
      : { ...decision, aftermath: { flow: flow.flow, newEdges: resolvable } };
  },
});

/** Whether an execution has checkpoints that a new run of its handler would find. */
const hasPassed = ({ stepCount, waiting }: ReadonlyExecution): boolean => stepCount > 0 || waiting !== undefined;

/** Why a member of a flow cannot run again, if so (spec 08 section 10, ruling 50). */
function flowRefusal(
  view: View,
  execution: ReadonlyExecution,
  flow: ReadonlyFlow | undefined,
  renewal: Renewal | undefined,
) {
  if (flow === undefined) return undefined;
  if (flow.flowState === 'cancelled' || flow.isPurging) return reject('flow_already_terminal');
  // A parent can continue without its children.
  const { flow: id } = flow;
  const siblings = { kind: 'siblings', flow: id, about: execution.executionId, cursor: '' } as const;
  const isHopeless = renewal?.groupState === 'impossible' && !execution.isParent;
  const isOpen =
    [endOf(execution), siblings].every((task) => view.flows.walk(walkIdOf(task)) === undefined) && !flow.isBuilding;
  if (!isOpen) return reject('execution_not_eligible', { reason: FLOW_UNSETTLED });
  return isHopeless ? reject('execution_not_eligible', { reason: DEPENDENCIES_FAILED }) : undefined;
}

/** The deadline of the new run, ms since the epoch; undefined when it is over. */
function deadlineAfter({ executionDeadlineAt }: ReadonlyExecution, now: number): number | undefined {
  return executionDeadlineAt !== undefined && executionDeadlineAt > now ? executionDeadlineAt : undefined;
}
