/**
 * Why an execution does not run, as data and in a sentence, and what would make it run. Composed of reads of what it is, of
 * its lane, and of its budgets and quota policies: each is of a moment of its own.
 */
import { EngineError } from '../../model/errors.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { BlockingReason } from '../../model/execution/situation.js';
import { partitionOfExecution } from '../../model/ids.js';
import { partsOfMeterSet } from '../../model/metering/meters.js';
import type { Backend } from '../backend.js';
import { policiesOf } from './deliveries.js';

export interface Explanation {
  /**
   * What keeps it: `nothing` while it runs, `ended` after its end, `hold`, `lane_paused`, `budget`, `quota`, `worker` when
   * any worker that can run it may take it, else the blocking reason of the contract.
   */
  readonly because: 'nothing' | 'ended' | 'hold' | 'lane_paused' | 'budget' | 'quota' | 'worker' | BlockingReason;
  readonly sentence: string;
  /** What would make it run. */
  readonly remedy: string;
  /** When that happens by itself, ms since the epoch, where it is known. */
  readonly until: number | undefined;
  /** The budget or quota policy that has no room. */
  readonly meterId: string | undefined;
}

const REMEDIES: Readonly<Partial<Record<BlockingReason, readonly [sentence: string, remedy: string]>>> = {
  waiting_for_delay: ['It is delayed.', 'Wait until the delay is over.'],
  waiting_for_resume_delay: ['It goes on after a delay.', 'Wait until the delay is over.'],
  waiting_for_retry_backoff: ['Its last attempt failed, and the next one waits.', 'Wait until the backoff is over.'],
  waiting_for_signal: ['It waits for signals.', 'Send the signals that its suspension waits for, or resume it.'],
  waiting_for_approval: ['It waits for an approval.', 'Approve it, or resume it.'],
  waiting_for_callback: ['It waits for a callback.', 'Deliver the callback, or resume it.'],
  waiting_for_tool_result: ['It waits for the result of a tool.', 'Deliver the result, or resume it.'],
  waiting_for_children: ['It waits for what it depends on.', 'Let its dependencies end as their policy asks.'],
  waiting_for_budget: ['A scheduler keeps it back for a budget.', 'Make room in the budget and unblock it.'],
  waiting_for_quota: ['A scheduler keeps it back for a quota.', 'Wait for room and unblock it.'],
  waiting_for_capable_worker: ['A scheduler found no worker that can run it.', 'Start one and unblock it.'],
  paused_by_policy: ['A scheduler keeps it back with its lane.', 'Unblock it.'],
  paused_by_operator: ['It is paused until an operator says otherwise.', 'Resume it.'],
};

const said = (
  because: Explanation['because'],
  sentence: string,
  remedy: string,
  facts: Partial<Pick<Explanation, 'until' | 'meterId'>> = {},
): Explanation => ({ because, sentence, remedy, until: undefined, meterId: undefined, ...facts });

/** @throws EngineError `execution_not_found`, and what the backend throws */
export async function explain(backend: Backend, executionId: string): Promise<Explanation> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) throw new EngineError('execution_not_found', `${executionId} is not known.`);
  const { lifecyclePhase, ownershipState, blockingReason } = info.stateVector;
  if (lifecyclePhase === 'terminal') return said('ended', `It ended ${info.publicState}.`, 'Replay it.');
  if (ownershipState === 'leased') return said('nothing', 'A worker runs it.', 'Nothing is needed.');
  const { hold } = info;
  if (hold !== undefined) {
    const why = hold.reason === '' ? '' : `: ${hold.reason}`;
    return said('hold', `${hold.heldBy} holds it${why}.`, 'Release the hold.');
  }
  const known = REMEDIES[blockingReason];
  if (known !== undefined) {
    const [sentence, remedy] = known;
    const detail = info.blockingDetail === '' ? '' : ` ${info.blockingDetail}.`;
    return said(blockingReason, sentence + detail, remedy, { until: info.delayUntil });
  }
  return ofWaiting(backend, info);
}

/** Why work is not taken that any worker may take. */
async function ofWaiting(backend: Backend, info: ExecutionInfo): Promise<Explanation> {
  const { laneId, executionId, meters, requiredCapabilities, executionKind, grant } = info;
  const lane = await backend.readLane({ partition: partitionOfExecution(executionId), laneId });
  if (lane?.laneState === 'paused')
    return said('lane_paused', `The lane ${laneId} is paused by ${lane.stateChangedBy}.`, 'Resume the lane.');
  const meter = await ofMeters(backend, meters);
  if (meter !== undefined) return meter;
  if (grant !== undefined)
    return said('worker', `It is granted to ${grant.workerId}.`, 'Wait for that worker.', {
      until: grant.expiresAt + 1,
    });
  const needs = requiredCapabilities.length === 0 ? '' : ` with ${requiredCapabilities.join(', ')}`;
  const sentence = `It waits for a worker of lane ${laneId}${needs} that runs ${executionKind}.`;
  return said('worker', sentence, 'Start such a worker, or give those that run more slots.');
}

/** The first budget that is exhausted, or quota policy that has no room. */
async function ofMeters(backend: Backend, meters: string): Promise<Explanation | undefined> {
  for (const budgetId of partsOfMeterSet(meters).budgetIds) {
    const room = await existing(backend.readBudgetRoom({ budgetId }));
    if (room === undefined || room.exhausted.length === 0) continue;
    const sentence = `Budget ${budgetId} is exhausted: ${room.exhausted.join(', ')}.`;
    const remedy = 'Raise its limits, release spend, or wait for its reset.';
    return said('budget', sentence, remedy, { until: room.nextResetAt, meterId: budgetId });
  }
  for (const quotaPolicyId of policiesOf(meters)) {
    const status = await backend.readQuotaPolicyLimits({ quotaPolicyId });
    if (status === undefined) continue;
    const { maxConcurrent, held, roomAt } = status;
    const facts = { until: roomAt, meterId: quotaPolicyId };
    if (roomAt !== undefined) {
      const sentence = `Quota ${quotaPolicyId} has used up its rate of ${status.maxRequestsPerWindow} in ${status.windowSeconds} s.`;
      return said('quota', sentence, 'Wait until the window moves.', facts);
    }
    if (maxConcurrent > 0 && held >= maxConcurrent)
      return said('quota', `All ${maxConcurrent} slots of quota ${quotaPolicyId} are held.`, 'Wait for an end.', facts);
  }
  return undefined;
}

async function existing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'budget_not_found') return undefined;
    throw error;
  }
}
