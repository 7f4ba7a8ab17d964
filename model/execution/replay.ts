/**
 * replayExecution: a terminal execution runs again, as often as its policy allows. What its earlier run left is cleared:
 * result, failure, cancellation, progress, and the counts that bound retries, reclaims and hand-backs; attempts, epochs
 * and the start go on; so do recorded steps, unless the caller discards them. A deadline that is over is dropped, one that lies ahead holds again. Spec 04 section 4.8, ruling 50.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, acceptAll, operation, reject } from '../core/operation.js';
import { echoed } from '../core/wire-form.js';
import { partitionOfExecution } from '../ids.js';
import { endOf, walkIdOf } from '../flow/cascade.js';
import { awaitsOthers } from '../flow/group.js';
import type { ReadonlyFlow } from '../flow/facts.js';
import { reopening } from '../flow/members.js';
import { renewalOf, reopeningOf, type Renewal } from '../flow/renewal.js';
import { notEligible } from '../lease/fence.js';
import { DEFAULTS } from '../limits.js';
import type { View } from '../view.js';
import type { ReadonlyExecution } from './facts.js';
import { isTerminal } from './situation.js';

export const replayExecution = operation({
  name: 'replayExecution',
  args: z.object({
    executionId: field.executionId,
    /** Why, for the log. */
    reason: field.reason.default(''),
    /** Who asks for it. */
    requestedBy: field.requester,
    /** Replays that the caller knows of: with it, a call that is repeated after a lost reply replays once. */
    expectedReplayCount: field.count.optional(),
    /**
     * Whether the new run finds what the earlier ones passed, and so does not do it again (ruling 47): recorded steps, waits with
     * their outcomes, signals. `discard` takes all of it, signals that no wait has taken too.
     */
    steps: z.enum(['keep', 'discard']).default('keep'),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('replayed'),
      executionId: echoed(field.executionId),
      /** `waiting_children` when what it depends on is undecided. */
      publicState: z.enum(['waiting', 'waiting_children']),
      /** Replays so far, this one included. */
      replayCount: field.count,
    }),
    /** It was replayed more often than the caller knew of. */
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
    const cap = execution.policy?.maxReplayCount ?? DEFAULTS.maxReplayCount;
    if (replayCount >= cap) return reject('max_replays_exhausted', { maxReplayCount: String(cap) });
    const flow = execution.flow === undefined ? undefined : view.flows.get(execution.flow);
    const renewal = flow && execution.groupState === 'impossible' ? renewalOf(view, execution, flow) : undefined;
    const refusal = flowRefusal(view, execution, flow, renewal);
    if (refusal !== undefined) return refusal;
    const { reopened = [], met = [] } = renewal ?? {};
    const isWaiting = reopened.length === 0 ? awaitsOthers(execution) : renewal?.verdict === 'pending';
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
      },
    ]);
    return flow === undefined || reopened.length === 0
      ? decision
      : { ...decision, aftermath: { flow: flow.flow, meetings: met } };
  },
});

/** Whether an execution passed something that a handler finds when it runs again. */
const hasPassed = ({ stepCount, waiting }: ReadonlyExecution): boolean => stepCount > 0 || waiting !== undefined;

/** Why a member of a flow cannot run again, if it cannot (spec 08 section 10, ruling 50). */
function flowRefusal(
  view: View,
  execution: ReadonlyExecution,
  flow: ReadonlyFlow | undefined,
  renewal: Renewal | undefined,
) {
  if (flow === undefined) return undefined;
  if (flow.flowState === 'cancelled' || flow.isPurging) return reject('flow_already_terminal');
  // What its end means for others is still to be done; its flow is not sealed; what it depends on cannot be any more,
  // which a parent goes on with.
  const { flow: id } = flow;
  const siblings = { kind: 'siblings', flow: id, about: execution.executionId, cursor: '' } as const;
  const isOpen =
    [endOf(execution), siblings].every((task) => view.flows.walk(walkIdOf(task)) === undefined) && !flow.isBuilding;
  const isHopeless = renewal?.verdict === 'impossible' && !execution.isParent;
  return isOpen && !isHopeless ? undefined : notEligible(execution);
}

/** The deadline that holds for the new run, ms since the epoch; none when it is over. */
function deadlineAfter({ executionDeadlineAt }: ReadonlyExecution, now: number): number | undefined {
  return executionDeadlineAt !== undefined && executionDeadlineAt > now ? executionDeadlineAt : undefined;
}
