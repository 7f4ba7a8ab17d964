/**
 * Why an execution does not run, as data and in a sentence, and what would make it run. Combines reads of the
 * execution, its lane, its budgets and quota policies, and the registered workers, each at its own moment.
 */
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { BlockingReason } from '../../model/execution/situation.js';
import type { FlowSnapshot } from '../../model/flow/reads.js';
import { LIMITS } from '../../model/limits.js';
import { laneNameOf } from '../shared/lane-names.js';
import { unlessUnreadable } from '../shared/unreadable.js';
import type { Backend } from '../backend/backend.js';
import { needBackend } from '../backend/settings.js';
import { flowOf, lastWait, ofDependencies, type LookAt } from './explain-dependencies.js';
import { ofEnded, ofExpired } from './explain-end.js';
import { ofSurroundings, type NameMeters, type Sources } from './explain-surroundings.js';
import { ofSuspension } from './explain-suspension.js';
import {
  callStep,
  notApplied,
  obstacleOf,
  timeText,
  waitStep,
  type Obstacle,
  type ObstacleStep,
  type UnblockStep,
} from './obstacle.js';
import { surveyOf, type Survey, type Takers } from './workers.js';

export type { NameMeters };

const noNames: NameMeters = () => Promise.resolve(new Map());

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

const WAIT = 'Wait until the time has come.';

/** Most executions that one explanation looks at. */
const MAX_SEEN = 100;

/** @throws EngineError `execution_not_found`, and what the backend throws */
export async function explain(
  backend: Backend,
  executionId: string,
  nameMeters: NameMeters = noNames,
): Promise<Explanation> {
  needBackend('explain()', backend, 'readExecutionInfo');
  const info = await backend.readExecutionInfo({ executionId });
  if (info === undefined) throw new EngineError('execution_not_found', `${executionId} is not known.`);
  const now = await backend.serverTime();
  const seen = new Map<string, ReturnType<LookAt>>();
  const lookAt: LookAt = (id) => {
    const known = seen.get(id);
    if (known !== undefined) return known;
    if (seen.size >= MAX_SEEN) return Promise.resolve(undefined);
    const look = async () => {
      const upstream = await backend.readExecutionInfo({ executionId: id });
      if (upstream === undefined) return undefined;
      return {
        info: upstream,
        unblock: (await explained({ backend, lookAt, now, nameMeters: noNames }, upstream)).unblock,
      };
    };
    const found = unlessUnreadable(look, () => 'unreadable' as const);
    seen.set(id, found);
    return found;
  };
  return explained({ backend, lookAt, now, nameMeters }, info);
}

/**
 * Why an execution that has not ended waits, by its situation and with a hold beside it; empty if its state says
 * everything.
 */
export async function waitSentence(backend: Backend, info: ExecutionInfo): Promise<string> {
  const lookAt: LookAt = (executionId) =>
    unlessUnreadable(
      async () => {
        const upstream = await backend.readExecutionInfo({ executionId });
        return upstream && { info: upstream, unblock: [] };
      },
      () => 'unreadable' as const,
    );
  const [now, flow] = await Promise.all([backend.serverTime(), flowOf(backend, info)]);
  const [obstacle] = await ofSituation({ backend, now, lookAt, nameMeters: noNames }, info, flow);
  if (obstacle === undefined) return '';
  return [obstacle, ...ofHold(info)].map(({ sentence }) => sentence).join(' ');
}

async function explained(sources: Sources, info: ExecutionInfo): Promise<Explanation> {
  const { backend, now } = sources;
  const flow = await flowOf(backend, info);
  if (info.stateVector.lifecyclePhase === 'terminal') return explanationOf(info, await ofEnded(sources, info, flow));
  const lease = await leaseOf(backend, info);
  if (lease !== undefined && lease.expiresAt > now) return RUNS;
  const owed = owedCancel(flow, info);
  if (owed !== undefined) return explanationOf(info, [owed]);
  const { executionDeadlineAt: deadline = Infinity } = info;
  if (deadline <= now) return explanationOf(info, await ofExpired(sources, info, flow));
  const obstacles = await obstaclesOf(sources, info, { flow, lapsedAt: lease?.expiresAt });
  if (obstacles.length === 0) return ofWaiting(sources, info);
  const explanation = explanationOf(info, obstacles);
  if (lastWait(explanation.unblock ?? []) < deadline) return explanation;
  // It expires while the steps wait, so it is replayed.
  return { ...explanation, unblock: explanationOf(info, await ofExpired(sources, info, flow)).unblock };
}

const { steps: _, ...RUNNING } = obstacleOf('nothing', 'A worker runs it.', 'Nothing is needed.');
const RUNS: Explanation = { ...RUNNING, unblock: [], takers: undefined };

const cancelled = (and: string): Obstacle =>
  obstacleOf('ended', `Its flow was cancelled, and ${and}.`, 'Run its flow again.', { steps: undefined });
const CANCEL_OWED = cancelled('it is about to end');
const LEFT_WAITING = cancelled('it ends when its wait is over');

const lapsed = (at: number): Obstacle => notApplied('The lease of its worker is over, but no process has noticed.', at);

/** The lease of its worker, which can be over without the engine having recorded it. */
async function leaseOf(backend: Backend, { executionId, stateVector }: ExecutionInfo) {
  const { lifecyclePhase, ownershipState } = stateVector;
  if (lifecyclePhase !== 'active' || ownershipState !== 'leased') return undefined;
  return (await backend.describeExecution({ executionId }))?.currentLease;
}

/** How the cancellation of its flow will end it, if it will before it can run again. */
function owedCancel(flow: FlowSnapshot | undefined, { stateVector }: ExecutionInfo): Obstacle | undefined {
  if (flow?.publicFlowState !== 'cancelled' || flow.cancellationPolicy === 'flow_only') return undefined;
  if (flow.cancellationPolicy === 'cancel_all' || stateVector.lifecyclePhase === 'runnable') return CANCEL_OWED;
  return stateVector.lifecyclePhase === 'suspended' ? LEFT_WAITING : undefined;
}

/**
 * Everything that keeps it from running, except that no worker has taken it. A grant comes before the surroundings: its
 * worker can take the execution even from a paused lane and without room in its meters.
 */
async function obstaclesOf(
  sources: Sources,
  info: ExecutionInfo,
  { flow, lapsedAt }: { readonly flow: FlowSnapshot | undefined; readonly lapsedAt: number | undefined },
): Promise<readonly Obstacle[]> {
  return [
    ...ofHold(info),
    ...(lapsedAt === undefined ? await ofSituation(sources, info, flow) : [lapsed(lapsedAt)]),
    ...ofGrant(info, sources.now),
    ...(await ofSurroundings(sources, info)),
  ];
}

/** The first obstacle is the reason; removing all of them makes it run. */
function explanationOf(
  { executionId: of, executionKind: task }: ExecutionInfo,
  obstacles: readonly Obstacle[],
  takers?: Takers,
): Explanation {
  const { steps: _, ...why } = present(obstacles[0]);
  const isPossible = obstacles.every(({ steps }) => steps !== undefined);
  const all = [...obstacles.flatMap(({ steps = [] }) => steps), callStep('claimForWorker')];
  const own = all.map((step) => (step.kind === 'call' && step.of === undefined ? callStep(step.call, of, task) : step));
  return { ...why, unblock: isPossible ? inOrder(own) : undefined, takers };
}

/**
 * A remedy that several dependencies need is listed once. A time that has come by then is not waited for again, and due
 * work that has been applied since that time is not applied again.
 */
function inOrder(steps: readonly UnblockStep[]): readonly UnblockStep[] {
  const done = new Set<string>();
  let [waited, applied] = [0, 0];
  let isApplied = false;
  return steps.filter((step) => {
    if (step.kind === 'wait') {
      const isPast = step.until <= waited;
      isApplied = step.until <= applied;
      waited = Math.max(waited, step.until);
      return !isPast;
    }
    if (step.call === 'applyDue') {
      if (!isApplied) applied = waited;
      return !isApplied;
    }
    isApplied = false;
    const name = `${step.call} ${step.of}`;
    if (done.has(name)) return false;
    done.add(name);
    return true;
  });
}

function ofHold({ hold }: ExecutionInfo): Obstacle[] {
  if (hold === undefined) return [];
  const why = hold.reason === '' ? '' : `: ${hold.reason}`;
  const steps = [callStep('releaseHold')];
  return [obstacleOf('hold', `${hold.heldBy} holds it${why}.`, 'Release the hold.', { steps })];
}

/** The obstacle of its situation. */
async function ofSituation(
  { backend, now, lookAt }: Sources,
  info: ExecutionInfo,
  flow: FlowSnapshot | undefined,
): Promise<readonly Obstacle[]> {
  const { lifecyclePhase, blockingReason } = info.stateVector;
  if (blockingReason === 'waiting_for_children') return ofDependencies(backend, info, { flow, lookAt, now });
  if (lifecyclePhase === 'suspended') return ofSuspension(backend, info, lookAt, now);
  return ofState(info, now);
}

/** It waits for a time, or for a scheduler. */
function ofState(info: ExecutionInfo, now: number): Obstacle[] {
  const {
    stateVector: { blockingReason },
    blockingDetail,
    delayUntil,
  } = info;
  const delay = DELAYS[blockingReason];
  if (delay !== undefined) {
    const until = delayUntil ?? now;
    if (until <= now) return [notApplied(`${delay}: its time has come, but no process has applied it.`, until)];
    const steps = [waitStep(until), callStep('applyDue')];
    return [
      obstacleOf(blockingReason, `${delay} until ${timeText(until)}.${losses(info, now)}`, WAIT, { until, steps }),
    ];
  }
  const block = BLOCKS[blockingReason];
  if (block === undefined) return [];
  const [sentence, remedy, steps] = block;
  return [
    obstacleOf(blockingReason, blockingDetail === '' ? sentence : `${sentence} ${blockingDetail}.`, remedy, { steps }),
  ];
}

/** How often work that is delayed has lost its worker lately: a worker may have delayed it for that. */
function losses(
  { stateVector: { blockingReason }, recentLossCount: count, lastLostAt = -Infinity }: ExecutionInfo,
  now: number,
): string {
  if (blockingReason !== 'waiting_for_delay' || now - lastLostAt > LIMITS.lossMemoryMs) return '';
  const often = count === 1 ? 'once' : `${count} times`;
  return ` It has lost its worker ${often} lately: its handler may end the process, or block the event loop.`;
}

function ofGrant({ grant }: ExecutionInfo, now: number): Obstacle[] {
  if (grant === undefined) return [];
  const until = grant.expiresAt + 1;
  if (until <= now) return [notApplied(`Its grant to ${grant.workerId} is over, but no process has noticed.`, until)];
  const steps = [waitStep(until), callStep('applyDue')];
  return [obstacleOf('granted', `It is granted to ${grant.workerId}.`, 'Wait for that worker.', { until, steps })];
}

/** No obstacle except that no worker takes it. */
async function ofWaiting({ backend, now }: Sources, info: ExecutionInfo): Promise<Explanation> {
  const { laneId, namespace, requiredCapabilities, executionKind } = info;
  const needs = requiredCapabilities.length === 0 ? '' : ` with ${requiredCapabilities.join(', ')}`;
  const survey = await surveyOf(backend, namespace, { laneId, executionKind, requiredCapabilities });
  const { takers } = survey;
  const areSilent = takers.capable > 0 && survey.overdueAt < now;
  const sentence = `It waits for a worker of lane ${laneNameOf(laneId)}${needs} that runs ${executionKind}: ${counted(takers)}${areSilent ? silence(survey, now) : ''}.`;
  return explanationOf(info, [obstacleOf('worker', sentence, remedyOf(takers, areSilent))], takers);
}

function remedyOf({ capable }: Takers, areSilent: boolean): string {
  if (capable === 0) return 'Start such a worker.';
  if (areSilent) return 'Check whether their processes still run, or start another worker.';
  return 'Wait until one has a free slot, give them more slots, or start another one.';
}

const silence = ({ takers, heardAt }: Survey, now: number): string =>
  `, last heard of ${Math.round((now - heardAt) / 1_000)} s ago: ${takers.capable === 1 ? 'it' : 'they'} may be dead`;

/** Which requirement the registered workers do not meet. */
function counted({ live, onLane, ofKind, capable, missing }: Takers): string {
  if (capable > 0) return `${capable} registered ${capable === 1 ? 'worker' : 'workers'} can take it`;
  if (live === 0) return 'none is registered';
  if (onLane === 0) return `none of ${live} serves the lane`;
  if (ofKind === 0) return `none of ${onLane} on the lane runs it`;
  return missing.length > 0 ? `none of ${ofKind} has ${missing.join(', ')}` : `none of ${ofKind} has all of that`;
}
