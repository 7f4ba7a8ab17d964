/** What work waits for that others have to do first. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { Backend } from '../backend.js';
import { said, type Obstacle, type UnblockStep } from './obstacle.js';

/** Of so many of those that it waits for, the way is told. */
const MAX_TOLD = 10;

/** How an execution can be made to run; nothing when it cannot be any more. */
export type Way = (executionId: string) => Promise<readonly UnblockStep[] | undefined>;

const COMPLETE: UnblockStep = { call: 'completeExecution' };
const SEAL: UnblockStep = { call: 'sealFlow' };
const isSeal = (step: UnblockStep): boolean => 'call' in step && step.call === 'sealFlow';

/** What a member of a flow waits for that is still being built. */
async function ofBuilding(backend: Backend, { flowId }: ExecutionInfo): Promise<Obstacle[]> {
  const flow = flowId === undefined ? undefined : await backend.describeFlow({ flowId });
  if (flow?.buildDeadlineAt === undefined) return [];
  const by = new Date(flow.buildDeadlineAt).toISOString();
  const sentence = `Its flow is still being built; if that is not done by ${by}, the flow is cancelled.`;
  const remedy = 'Build it to its end: create it again by its id, or seal it.';
  return [said('waiting_for_children', sentence, remedy, { steps: [SEAL] })];
}

/** What work that depends on others waits for. */
export async function ofDependencies(backend: Backend, info: ExecutionInfo, wayOf: Way): Promise<Obstacle[]> {
  const { executionId } = info;
  const building = await ofBuilding(backend, info);
  const { edges } = await backend.listEdges({ executionId, direction: 'incoming' });
  const open = edges.filter(({ edgeState }) => edgeState === 'unsatisfied');
  if (building.length > 0 && open.length === 0) return building;
  const steps: UnblockStep[] = [];
  for (const { upstreamExecutionId } of open.slice(0, MAX_TOLD))
    steps.push(...((await wayOf(upstreamExecutionId)) ?? []), COMPLETE);
  const which = open[0] === undefined ? '' : `, ${open[0].upstreamExecutionId} first`;
  const sentence = `It waits for ${open.length} of ${edges.length} that it depends on${which}.`;
  // Those that it depends on are in the same flow, which is sealed once.
  const own = steps.filter((step) => building.length === 0 || !isSeal(step));
  const others = said('waiting_for_children', sentence, 'Let them end as the policy of its dependencies asks.', {
    steps: own,
  });
  return [...building, others];
}

/** What has to end well before an ended execution can be replayed; nothing when that cannot be any more. */
export async function beforeReplay(
  backend: Backend,
  { executionId, publicState }: ExecutionInfo,
  wayOf: Way,
): Promise<readonly UnblockStep[] | undefined> {
  if (publicState !== 'skipped') return [];
  const { edges } = await backend.listEdges({ executionId, direction: 'incoming' });
  const steps: UnblockStep[] = [];
  for (const { upstreamExecutionId } of edges
    .filter(({ edgeState }) => edgeState === 'impossible')
    .slice(0, MAX_TOLD)) {
    const way = await wayOf(upstreamExecutionId);
    if (way === undefined) return undefined;
    steps.push(...way, COMPLETE);
  }
  return steps;
}

/** A cancelled flow has no place for a member that runs again. */
export async function isOfCancelledFlow(backend: Backend, { flowId }: ExecutionInfo): Promise<boolean> {
  if (flowId === undefined) return false;
  return (await backend.describeFlow({ flowId }))?.publicFlowState === 'cancelled';
}
