/**
 * Why an execution does not run, as data and in a sentence, and what would make it run. Combines reads of the
 * execution, its lane, its budgets and quota policies, and the registered workers, each at its own moment.
 */
import { EngineError } from '../../model/errors.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { BlockingReason } from '../../model/execution/situation.js';
import { partitionOfExecution } from '../../model/ids.js';
import { laneNameOf } from '../shared/lane-names.js';
import type { Backend } from '../backend/backend.js';
import { beforeReplay, isOfCancelledFlow, ofDependencies, type LookAt } from './explain-dependencies.js';
import { meterObstacles, type MeterNames } from './explain-meters.js';
import { ofSuspension, timeText } from './explain-suspension.js';
import {
  callStep,
  notApplied,
  obstacleOf,
  waitStep,
  type Obstacle,
  type ObstacleStep,
  type UnblockStep,
} from './obstacle.js';
import { takersOf, type Takers } from './workers.js';

export interface Explanation extends Omit<Obstacle, 'steps'> {
  /**
   * Steps to make it run, in order: they remove every obstacle, and then a worker claims it. Empty while it runs;
   * absent when nothing can make it run.
   */
  readonly unblock: readonly UnblockStep[] | undefined;
  /** Registered workers that could take it; present when it waits for a worker. */
  readonly takers: Takers | undefined;
}

const UNBLOCK = [callStep('unblockExecution')];

const BLOCKS: Readonly<Partial<Record<BlockingReason, readonly [string, string, readonly ObstacleStep[]]>>> = {
  waiting_for_budget: ['A scheduler holds it back for a budget.', 'Make room in the budget and unblock it.', UNBLOCK],
  waiting_for_quota: ['A scheduler holds it back for a quota.', 'Wait for room and unblock it.', UNBLOCK],
  waiting_for_capable_worker: ['A scheduler found no worker that can run it.', 'Start one and unblock it.', UNBLOCK],
  paused_by_policy: ['A scheduler holds its lane back.', 'Unblock it.', UNBLOCK],
};

const DELAYS: Readonly<Partial<Record<BlockingReason, string>>> = {
  waiting_for_delay: 'It is delayed',
  waiting_for_resume_delay: 'Its continuation is delayed',
  waiting_for_retry_backoff: 'Its last attempt failed, and the next one waits',
};

/** Depth to which dependencies are explained. */
const MAX_DEPTH = 5;

/** The app's names of the budgets and quotas of an execution. Called only for metered executions. */
export type NameMeters = (info: ExecutionInfo) => Promise<MeterNames>;

const noNames: NameMeters = () => Promise.resolve(new Map());

/** @throws EngineError `execution_not_found`, and what the backend throws */
export async function explain(
  backend: Backend,
  executionId: string,
  nameMeters: NameMeters = noNames,
): Promise<Explanation> {
  return explainTo(MAX_DEPTH, backend, await infoOf(backend, executionId), nameMeters);
}

async function infoOf(backend: Backend, executionId: string): Promise<ExecutionInfo> {
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) throw new EngineError('execution_not_found', `${executionId} is not known.`);
  return info;
}

async function explainTo(
  depth: number,
  backend: Backend,
  info: ExecutionInfo,
  nameMeters: NameMeters,
): Promise<Explanation> {
  const now = await backend.serverTime();
  const { lifecyclePhase, ownershipState } = info.stateVector;
  if (lifecyclePhase === 'active' && ownershipState === 'leased') return ofOwned(backend, info, now);
  const lookAt: LookAt = async (upstream) => {
    const other = await infoOf(backend, upstream);
    return { info: other, unblock: depth === 0 ? [] : (await explainTo(depth - 1, backend, other, noNames)).unblock };
  };
  if (lifecyclePhase === 'terminal') return ofEnded(backend, info, lookAt);
  const obstacles = [
    ...ofHold(info),
    ...(await ofSituation(backend, info, now, lookAt)),
    ...(await ofLane(backend, info)),
    ...(await meterObstacles(backend, info.meters, () => nameMeters(info))),
    ...ofGrant(info),
  ];
  if (obstacles.length > 0) return explained(info, obstacles, undefined);
  return ofWaiting(backend, info);
}

/** The first obstacle is the reason; removing all of them makes it run. */
function explained(
  { executionId: of, executionKind: task }: ExecutionInfo,
  [first, ...others]: readonly Obstacle[],
  takers: Takers | undefined,
): Explanation {
  const { steps, ...why } = first as Obstacle;
  const all = [...steps, ...others.flatMap((other) => other.steps), callStep('claimForWorker')];
  const own = all.map((step) => (step.kind === 'call' && step.of === undefined ? callStep(step.call, of, task) : step));
  return { ...why, unblock: onceEach(own), takers };
}

/** A remedy that several dependencies need is listed once. Times come in order, each followed by what is due then. */
function onceEach(steps: readonly UnblockStep[]): readonly UnblockStep[] {
  const done = new Set<string>();
  return steps.filter((step) => {
    if (step.kind === 'wait' || step.call === 'applyDue') return true;
    const name = `${step.call} ${step.of}`;
    if (done.has(name)) return false;
    done.add(name);
    return true;
  });
}

/** Ended executions can run again unless their flow was cancelled. Skipped ones come after their dependencies. */
async function ofEnded(backend: Backend, info: ExecutionInfo, lookAt: LookAt): Promise<Explanation> {
  const ended = `It ended ${info.publicState}`;
  const before = (await isOfCancelledFlow(backend, info)) ? undefined : await beforeReplay(backend, info, lookAt);
  if (before === undefined) {
    const { steps: _, ...why } = obstacleOf('ended', `${ended}: its flow was cancelled.`, 'Run its flow again.');
    return { ...why, unblock: undefined, takers: undefined };
  }
  const remedy = before.length === 0 ? 'Replay it.' : 'Replay what it depends on, then replay it.';
  const steps = [...before, callStep('replayExecution')];
  return explained(info, [obstacleOf('ended', `${ended}.`, remedy, { steps })], undefined);
}

/** A lease can be over without the engine having recorded it. */
async function ofOwned(backend: Backend, info: ExecutionInfo, now: number): Promise<Explanation> {
  const { executionId } = info;
  const lease = (await backend.describeExecution({ executionId }))?.currentLease;
  if (lease === undefined || lease.expiresAt > now) {
    const { steps: _, ...nothing } = obstacleOf('nothing', 'A worker runs it.', 'Nothing is needed.');
    return { ...nothing, unblock: [], takers: undefined };
  }
  const sentence = 'The lease of its worker is over, but no process has noticed.';
  return explained(info, [notApplied(sentence, lease.expiresAt)], undefined);
}

function ofHold({ hold }: ExecutionInfo): Obstacle[] {
  if (hold === undefined) return [];
  const why = hold.reason === '' ? '' : `: ${hold.reason}`;
  const steps = [callStep('releaseHold')];
  return [obstacleOf('hold', `${hold.heldBy} holds it${why}.`, 'Release the hold.', { steps })];
}

/** The obstacle of its situation. */
async function ofSituation(backend: Backend, info: ExecutionInfo, now: number, lookAt: LookAt): Promise<Obstacle[]> {
  const { lifecyclePhase, blockingReason } = info.stateVector;
  if (blockingReason === 'waiting_for_children') return ofDependencies(backend, info, lookAt);
  if (lifecyclePhase === 'suspended') return ofSuspension(backend, info, lookAt);
  return ofState(info, now);
}

/** It waits for a time, or for a scheduler. */
function ofState(
  { stateVector: { blockingReason }, blockingDetail, delayUntil }: ExecutionInfo,
  now: number,
): Obstacle[] {
  const delay = DELAYS[blockingReason];
  if (delay !== undefined) {
    const until = delayUntil ?? now;
    if (until <= now) return [notApplied(`${delay}: its time has come, but no process has applied it.`, until)];
    const steps = [waitStep(until), callStep('applyDue')];
    return [
      obstacleOf(blockingReason, `${delay} until ${timeText(until)}.`, 'Wait until the time has come.', {
        until,
        steps,
      }),
    ];
  }
  const block = BLOCKS[blockingReason];
  if (block === undefined) return [];
  const [sentence, remedy, steps] = block;
  return [
    obstacleOf(blockingReason, blockingDetail === '' ? sentence : `${sentence} ${blockingDetail}.`, remedy, { steps }),
  ];
}

async function ofLane(backend: Backend, { executionId, laneId }: ExecutionInfo): Promise<Obstacle[]> {
  const lane = await backend.readLane({ partition: partitionOfExecution(executionId), laneId });
  if (lane?.laneState !== 'paused') return [];
  const why = lane.stateReason === '' ? '' : `: ${lane.stateReason}`;
  const sentence = `The lane ${laneNameOf(laneId)} is paused by ${lane.stateChangedBy}${why}.`;
  return [
    obstacleOf('lane_paused', sentence, 'Resume the lane.', {
      steps: [callStep('resumeLane', laneNameOf(laneId))],
    }),
  ];
}

function ofGrant({ grant }: ExecutionInfo): Obstacle[] {
  if (grant === undefined) return [];
  const until = grant.expiresAt + 1;
  const steps = [waitStep(until), callStep('applyDue')];
  return [obstacleOf('granted', `It is granted to ${grant.workerId}.`, 'Wait for that worker.', { until, steps })];
}

/** No obstacle except that no worker takes it. */
async function ofWaiting(backend: Backend, info: ExecutionInfo): Promise<Explanation> {
  const { laneId, namespace, requiredCapabilities, executionKind } = info;
  const needs = requiredCapabilities.length === 0 ? '' : ` with ${requiredCapabilities.join(', ')}`;
  const takers = await takersOf(backend, namespace, { laneId, executionKind, requiredCapabilities });
  const sentence = `It waits for a worker of lane ${laneNameOf(laneId)}${needs} that runs ${executionKind}: ${counted(takers)}.`;
  const remedy =
    takers.capable === 0
      ? 'Start such a worker.'
      : 'Wait until one has a free slot, give them more slots, or start another one.';
  return explained(info, [obstacleOf('worker', sentence, remedy)], takers);
}

/** Which requirement the registered workers do not meet. */
function counted({ live, onLane, ofKind, capable, missing }: Takers): string {
  if (capable > 0) return `${capable} registered ${capable === 1 ? 'worker' : 'workers'} can take it`;
  if (live === 0) return 'none is registered';
  if (onLane === 0) return `none of ${live} serves the lane`;
  if (ofKind === 0) return `none of ${onLane} on the lane runs it`;
  return missing.length > 0 ? `none of ${ofKind} has ${missing.join(', ')}` : `none of ${ofKind} has all of that`;
}
