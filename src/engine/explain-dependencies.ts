/** Explains work that depends on other executions. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { EdgeGroupSnapshot } from '../../model/flow/group.js';
import type { AnswerOf } from '../../model/machine.js';
import { LIMITS } from '../../model/limits.js';
import type { Backend } from '../backend/backend.js';
import { callStep, obstacleOf, type Obstacle, type UnblockStep } from './obstacle.js';

/** Number of dependencies that are explained in detail. */
const MAX_TOLD = 10;

/** An execution that another one depends on. */
export interface Seen {
  readonly info: ExecutionInfo;
  /** How to make it run; undefined when that is impossible. */
  readonly unblock: readonly UnblockStep[] | undefined;
}
export type LookAt = (executionId: string) => Promise<Seen>;

type Edge = AnswerOf<'listEdges'>['edges'][number];

const completionOf = ({ executionId: of, executionKind: task }: ExecutionInfo): UnblockStep => {
  return callStep('completeExecution', of, task);
};

/** Obstacle of a member whose flow is still being built. */
async function ofBuilding(backend: Backend, { flowId }: ExecutionInfo): Promise<Obstacle[]> {
  const flow = flowId === undefined ? undefined : await backend.describeFlow({ flowId });
  if (flow?.buildDeadlineAt === undefined) return [];
  const by = new Date(flow.buildDeadlineAt).toISOString();
  const sentence = `Its flow is still being built; if that is not done by ${by}, the flow is cancelled.`;
  const remedy = 'Build it to its end: create it again by its id, or seal it.';
  return [obstacleOf('waiting_for_children', sentence, remedy, { steps: [callStep('sealFlow', flow.flowId)] })];
}

/** Obstacles of work that depends on others. */
export async function ofDependencies(backend: Backend, info: ExecutionInfo, lookAt: LookAt): Promise<Obstacle[]> {
  const { executionId, group } = info;
  const building = await ofBuilding(backend, info);
  if (group === undefined || group.missingCount === 0) return building.length > 0 ? building : [NOT_ASKED];
  const isOpen = (edge: Edge): boolean => edge.edgeState === 'unsatisfied' && edge.round === group.round;
  const open = await incoming(backend, executionId, isOpen);
  const seen = await Promise.all(open.map(({ upstreamExecutionId }) => lookAt(upstreamExecutionId)));
  // The dependencies with the shortest remedies, as many as have to complete.
  const ways = seen.map(wayToEnd).sort((a, b) => a.length - b.length);
  const steps = ways.slice(0, group.missingCount).flat();
  return [...building, obstacleOf('waiting_for_children', sentenceOf(group, seen), remedyOf(group), { steps })];
}

/** The children that a suspended parent waits for, and how enough of them can end. */
export async function awaitedChildren(
  backend: Backend,
  { executionId }: ExecutionInfo,
  awaited: number,
  lookAt: LookAt,
): Promise<{ readonly tasks: string; readonly steps: readonly UnblockStep[] }> {
  let ended = 0;
  const isOpen = ({ edgeState, round, endOrder = 0 }: Edge): boolean => {
    ended = Math.max(ended, endOrder);
    return round > 0 && edgeState === 'unsatisfied';
  };
  const open = await incoming(backend, executionId, isOpen);
  const seen = await Promise.all(open.map(({ upstreamExecutionId }) => lookAt(upstreamExecutionId)));
  const ways = seen.map(wayToEnd).sort((a, b) => a.length - b.length);
  return { tasks: tasksOf(seen), steps: ways.slice(0, Math.max(1, awaited - ended)).flat() };
}

const NOT_ASKED = obstacleOf(
  'not_promoted',
  'What it waits for is there, and nobody has let it go.',
  'Run a process that applies due work: a worker, or `startTimerLoop`.',
  { steps: [callStep('applyDue')] },
);

/** How a dependency can complete. Due work reports those that have ended. */
function wayToEnd({ info, unblock = [] }: Seen): readonly UnblockStep[] {
  if (info.stateVector.lifecyclePhase === 'terminal') return [callStep('applyDue', info.executionId)];
  return [...unblock, completionOf(info)];
}

function sentenceOf({ policy, runningCount, totalDeps, missingCount }: EdgeGroupSnapshot, seen: readonly Seen[]) {
  const rest = runningCount > seen.length ? ' and others' : '';
  const waits = `It waits for ${runningCount} of ${totalDeps} that it depends on: ${tasksOf(seen)}${rest}.`;
  if (policy === 'all_of') return waits;
  return `${waits} ${missingCount} of them ${missingCount === 1 ? 'has' : 'have'} to complete.`;
}

const remedyOf = ({ policy, missingCount }: EdgeGroupSnapshot): string =>
  policy === 'all_of' ? 'Let them complete.' : `Let ${missingCount} of them complete.`;

/** The tasks of some executions, with their numbers. */
function tasksOf(seen: readonly Seen[]): string {
  const counts = new Map<string, number>();
  for (const { info } of seen) counts.set(info.executionKind, (counts.get(info.executionKind) ?? 0) + 1);
  return Array.from(counts, ([task, count]) => (count === 1 ? task : `${task} (${count})`)).join(', ');
}

/** The first matching edges that lead to an execution. */
async function incoming(backend: Backend, executionId: string, isWanted: (edge: Edge) => boolean): Promise<Edge[]> {
  const found: Edge[] = [];
  let cursor: string | undefined;
  do {
    const page = await backend.listEdges({ executionId, direction: 'incoming', cursor, limit: LIMITS.maxListPage });
    found.push(...page.edges.filter(isWanted));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < MAX_TOLD);
  return found.slice(0, MAX_TOLD);
}

/** What has to complete before an ended execution can be replayed; undefined when that is impossible. */
export async function beforeReplay(
  backend: Backend,
  { executionId, publicState }: ExecutionInfo,
  lookAt: LookAt,
): Promise<readonly UnblockStep[] | undefined> {
  if (publicState !== 'skipped') return [];
  const steps: UnblockStep[] = [];
  for (const { upstreamExecutionId } of await incoming(
    backend,
    executionId,
    ({ edgeState }) => edgeState === 'impossible',
  )) {
    const { info, unblock } = await lookAt(upstreamExecutionId);
    if (unblock === undefined) return undefined;
    steps.push(...unblock, completionOf(info));
  }
  return steps;
}

/** A member of a cancelled flow cannot run again. */
export async function isOfCancelledFlow(backend: Backend, { flowId }: ExecutionInfo): Promise<boolean> {
  if (flowId === undefined) return false;
  return (await backend.describeFlow({ flowId }))?.publicFlowState === 'cancelled';
}
