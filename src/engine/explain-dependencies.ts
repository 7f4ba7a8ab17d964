/** Explains work that depends on other executions. */
import { neededOf, type EdgeGroupSnapshot } from '../../model/flow/group.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { FlowSnapshot } from '../../model/flow/reads.js';
import type { AnswerOf } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import {
  callStep,
  obstacleOf,
  timeText,
  waitStep,
  type Obstacle,
  type ObstacleStep,
  type UnblockStep,
} from './obstacle.js';

/** Most dependencies of one execution that are looked at. */
const MAX_EDGES = 100;

/** Steps in order; undefined when no steps do it. */
export type Steps = readonly UnblockStep[] | undefined;

/** An execution that another one depends on. */
export interface Seen {
  readonly info: ExecutionInfo;
  /** How to make it run. */
  readonly unblock: Steps;
}
/**
 * Looks at an upstream; undefined when it is gone, or when too many have been looked at. `unreadable`: its record, or
 * one that it needs, is damaged.
 */
export type LookAt = (executionId: string) => Promise<Seen | 'unreadable' | undefined>;

type Edge = AnswerOf<'listEdges'>['edges'][number];

/** What an undecided group lacks. */
interface Lack {
  /** The upstreams that can still count. */
  readonly seen: readonly Seen[];
  /** Ids of those that are unreadable. */
  readonly unreadable: readonly string[];
  /** The shortest ways to as many completions as it needs. */
  readonly steps: Steps;
  /** When the group cannot be satisfied any more, because upstreams end before they complete; undefined if they do not. */
  readonly hopelessAt: number | undefined;
}

/** The flow of a member. */
export async function flowOf(backend: Backend, { flowId }: ExecutionInfo): Promise<FlowSnapshot | undefined> {
  return flowId === undefined ? undefined : backend.describeFlow({ flowId });
}

/** Obstacles of work that depends on others. */
export async function ofDependencies(
  backend: Backend,
  info: ExecutionInfo,
  { flow, lookAt, now }: { readonly flow: FlowSnapshot | undefined; readonly lookAt: LookAt; readonly now: number },
): Promise<Obstacle[]> {
  const { group } = info;
  const building = ofBuilding(flow);
  if (group === undefined || group.missingCount === 0) {
    return [...(building.length > 0 ? building : [NOT_ASKED]), ...ofOwnDelay(info, now)];
  }
  const { seen, unreadable, hopelessAt, ...lack } = await lackOf(backend, info, group, lookAt);
  const steps = hopelessAt === undefined ? lack.steps : afterEnds(info, group, lack.steps, { hopelessAt, now });
  const isShort = steps === undefined && group.totalDeps < neededIn(group);
  const remedy = unreadable.length > 0 ? MEND : isShort ? TOO_FEW : remedyOf(group);
  const waiting = obstacleOf('waiting_for_children', sentenceOf(group, seen, unreadable), remedy, { steps });
  return [...building, waiting, ...ofOwnDelay(info, now)];
}

/**
 * How it runs although its upstreams end first. A parent continues without its children; others are skipped, and
 * replayed once enough upstreams have completed, if the policy allows it.
 */
function afterEnds(
  { replayCount, maxReplayCount }: ExecutionInfo,
  { round }: EdgeGroupSnapshot,
  steps: Steps,
  { hopelessAt, now }: { readonly hopelessAt: number; readonly now: number },
): Obstacle['steps'] {
  const end = (from: number) => [...(hopelessAt > from ? [waitStep(hopelessAt)] : []), callStep('applyDue')];
  if (round > 0) return end(now);
  if (steps === undefined || replayCount >= maxReplayCount) return undefined;
  const waited = Math.max(now, lastWait(steps));
  return [...steps, ...(hopelessAt > waited ? end(waited) : []), callStep('replayExecution')];
}

/** Obstacle of a member whose flow is still being built. */
function ofBuilding(flow: FlowSnapshot | undefined): Obstacle[] {
  if (!flow?.building) return [];
  const { flowId, buildDeadlineAt: until, publicFlowState } = flow;
  const isToEnd = until !== undefined && publicFlowState !== 'cancelled';
  const end = isToEnd ? `; if that is not done by ${timeText(until)}, the flow is cancelled` : '';
  const remedy = 'Build it to its end: create it again by its id, or seal it.';
  const steps = [callStep('sealFlow', flowId)];
  return [obstacleOf('waiting_for_children', `Its flow is still being built${end}.`, remedy, { steps })];
}

/** The children that a suspended parent waits for, and how enough of them can end. */
export async function awaitedChildren(
  backend: Backend,
  info: ExecutionInfo,
  awaited: number,
  lookAt: LookAt,
): Promise<{ readonly tasks: string; readonly steps: Steps }> {
  let ended = 0;
  const isOpen = ({ edgeState, round, endOrder = 0 }: Edge): boolean => {
    ended = Math.max(ended, endOrder);
    return round > 0 && edgeState === 'unsatisfied';
  };
  const { seen, unreadable } = await seenOf(await incoming(backend, info, isOpen), lookAt);
  return {
    tasks: [...tasksIn(seen), ...unreadable].join(', '),
    steps: shortest(seen.map(wayToEnd), Math.max(1, awaited - ended)),
  };
}

const NOT_ASKED = obstacleOf(
  'not_promoted',
  'What it waits for is there, and nobody has let it go.',
  'Run a process that applies due work: a worker, or `startTimerLoop`.',
  { steps: [callStep('applyDue')] },
);

/** Its own delay still applies after its dependencies. */
function ofOwnDelay({ delayUntil: until }: ExecutionInfo, now: number): Obstacle[] {
  if (until === undefined || until <= now) return [];
  const steps = [waitStep(until), callStep('applyDue')];
  return [obstacleOf('waiting_for_delay', 'It is delayed.', 'Wait until the time has come.', { until, steps })];
}

const neededIn = ({ policy, totalDeps }: EdgeGroupSnapshot): number =>
  neededOf({
    groupPolicy: policy.kind,
    quorumK: policy.kind === 'quorum' ? policy.k : 0,
    dependencyCount: totalDeps,
  });

/** Whether the group cannot be satisfied by the upstreams that have not ended, with `revived` of the others. */
const isHopeless = (group: EdgeGroupSnapshot, revived = 0): boolean =>
  group.failedCount + group.skippedCount - revived > group.totalDeps - neededIn(group) &&
  group.satisfiedCount < neededIn(group);

async function lackOf(backend: Backend, info: ExecutionInfo, group: EdgeGroupSnapshot, lookAt: LookAt): Promise<Lack> {
  const { seen, unreadable } = await seenOf(await incoming(backend, info, edgesOf(group, 'unsatisfied')), lookAt);
  const ends = seen
    .map(endOf)
    .filter((at) => at !== undefined)
    .sort((a, b) => a - b);
  const hopelessAt = ends[group.totalDeps - neededIn(group) - group.failedCount - group.skippedCount];
  // Those that end first count only after a replay, which looks at them again.
  const counted = hopelessAt === undefined ? seen.filter((it) => endOf(it) === undefined) : seen;
  const steps = shortest(counted.map(wayToEnd), neededIn(group) - group.satisfiedCount);
  return { seen, unreadable, steps, hopelessAt };
}

/** When an upstream that has not ended does so before it runs, ms; undefined if it runs first. */
function endOf({ info: { executionId, stateVector, executionDeadlineAt }, unblock }: Seen): number | undefined {
  if (stateVector.lifecyclePhase === 'terminal') return undefined;
  if (unblock === undefined) return executionDeadlineAt;
  const replay = unblock.findIndex(
    (step) => step.kind === 'call' && step.call === 'replayExecution' && step.of === executionId,
  );
  return replay === -1 ? undefined : lastWait(unblock.slice(0, replay));
}

/**
 * What has to complete before a member is replayed. A replay looks again at upstreams that ended badly, so they count
 * once they have completed.
 */
export async function beforeReplay(backend: Backend, info: ExecutionInfo, lookAt: LookAt): Promise<Steps> {
  const { group } = info;
  if (group === undefined || group.groupState === 'satisfied') return [];
  if (!isHopeless(group))
    return group.groupState === 'impossible' ? [] : (await lackOf(backend, info, group, lookAt)).steps;
  const { seen: failed } = await seenOf(await incoming(backend, info, edgesOf(group, 'impossible')), lookAt);
  const revived = failed.filter(isRevived);
  // A parent continues without its children, unless enough of them have been replayed.
  if (group.round > 0 && isHopeless(group, revived.length)) return [];
  const { seen } = await lackOf(backend, info, group, lookAt);
  const ways = [...seen.map(wayToEnd), ...(group.round > 0 ? revived : failed).map(wayToSuccess)];
  return shortest(ways, neededIn(group) - group.satisfiedCount);
}

/** Edges of a group in a state. */
const edgesOf =
  (group: EdgeGroupSnapshot, state: Edge['edgeState']) =>
  ({ edgeState, round }: Edge): boolean =>
    edgeState === state && round === group.round;

async function seenOf(edges: readonly Edge[], lookAt: LookAt): Promise<Pick<Lack, 'seen' | 'unreadable'>> {
  const found = await Promise.all(edges.map(async ({ upstreamExecutionId: id }) => ({ id, looked: await lookAt(id) })));
  return {
    seen: found.flatMap(({ looked = 'unreadable' }) => (looked === 'unreadable' ? [] : [looked])),
    unreadable: found.flatMap(({ id, looked }) => (looked === 'unreadable' ? [id] : [])),
  };
}

/** Whether an upstream that ended badly runs again, or has completed since. */
const isRevived = ({ info: { stateVector, publicState } }: Seen): boolean =>
  stateVector.lifecyclePhase !== 'terminal' || publicState === 'completed';

/** How an upstream can complete. Due work reports those that have ended. */
function wayToEnd(seen: Seen): Steps {
  const { executionId, stateVector } = seen.info;
  return stateVector.lifecyclePhase === 'terminal' ? [callStep('applyDue', executionId)] : wayToSuccess(seen);
}

/** How an upstream that may have ended badly can complete. */
function wayToSuccess({ info: { executionId: of, executionKind: task, publicState }, unblock }: Seen): Steps {
  if (publicState === 'completed') return [];
  return unblock === undefined ? undefined : [...unblock, callStep('completeExecution', of, task)];
}

/** The shortest ways, as many as are needed; undefined if there are too few. Those that wait longest come last. */
function shortest(ways: readonly Steps[], count: number): Steps {
  const open = ways.filter((way) => way !== undefined).sort((a, b) => a.length - b.length);
  if (open.length < count) return undefined;
  return open
    .slice(0, Math.max(0, count))
    .sort((a, b) => lastWait(a) - lastWait(b))
    .flat();
}

/** The last time that is waited for. */
export const lastWait = (steps: readonly ObstacleStep[]): number =>
  Math.max(0, ...steps.map((step) => (step.kind === 'wait' ? step.until : 0)));

const MEND = 'Repair or drop what is unreadable: `deadLetters.quarantined()` names what was met.';
const TOO_FEW = 'Add dependencies: it needs more of them than it has.';

function sentenceOf(
  { policy, runningCount, totalDeps, missingCount }: EdgeGroupSnapshot,
  seen: readonly Seen[],
  unreadable: readonly string[],
): string {
  const rest = runningCount > seen.length + unreadable.length ? ' and others' : '';
  const named = [...tasksIn(seen), ...unreadable.map((id) => `${id} (unreadable)`)].join(', ');
  const waits = `It waits for ${runningCount} of ${totalDeps} that it depends on: ${named}${rest}.`;
  if (policy.kind === 'all_of') return waits;
  return `${waits} ${missingCount} of them ${missingCount === 1 ? 'has' : 'have'} to complete.`;
}

const remedyOf = ({ policy, missingCount }: EdgeGroupSnapshot): string =>
  policy.kind === 'all_of' ? 'Let them complete.' : `Let ${missingCount} of them complete.`;

/** The tasks of some executions, with their numbers. */
function tasksIn(seen: readonly Seen[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { info } of seen) counts.set(info.executionKind, (counts.get(info.executionKind) ?? 0) + 1);
  return Array.from(counts, ([task, count]) => (count === 1 ? task : `${task} (${count})`));
}

/** The first matching edges that lead to an execution. */
async function incoming(
  backend: Backend,
  { executionId }: ExecutionInfo,
  isWanted: (edge: Edge) => boolean,
): Promise<Edge[]> {
  const found: Edge[] = [];
  let cursor: string | undefined;
  do {
    const page = await backend.listEdges({ executionId, direction: 'incoming', cursor, limit: LIMITS.maxListPage });
    found.push(...page.edges.filter(isWanted));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < MAX_EDGES);
  return found.slice(0, MAX_EDGES);
}
