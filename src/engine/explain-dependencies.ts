/** What work waits for that others have to do first. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { Backend } from '../backend.js';
import { said, type Obstacle, type UnblockStep } from './obstacle.js';

/** Of so many of those that it waits for, the way is told. */
const MAX_TOLD = 10;

/** How an execution can be made to run; nothing when it cannot be any more. */
type Way = (executionId: string) => Promise<readonly UnblockStep[] | undefined>;

/** What work that depends on others waits for. */
export async function ofDependencies(backend: Backend, info: ExecutionInfo, wayOf: Way): Promise<Obstacle> {
  const { executionId } = info;
  const { edges } = await backend.listEdges({ executionId, direction: 'incoming' });
  const open = edges.filter(({ edgeState }) => edgeState === 'unsatisfied');
  const steps: UnblockStep[] = [];
  for (const { upstreamExecutionId } of open.slice(0, MAX_TOLD))
    steps.push(...((await wayOf(upstreamExecutionId)) ?? []), { call: 'completeExecution' });
  const which = open[0] === undefined ? '' : `, ${open[0].upstreamExecutionId} first`;
  const sentence = `It waits for ${open.length} of ${edges.length} that it depends on${which}.`;
  return said('waiting_for_children', sentence, 'Let them end as the policy of its dependencies asks.', { steps });
}

/** Why an execution that ended cannot be run again; nothing when it can. */
export async function barredBy(backend: Backend, info: ExecutionInfo): Promise<string | undefined> {
  if (info.publicState === 'skipped') return 'what it depends on can no longer be';
  const flowId = await backend.resolveExecutionFlowId({ executionId: info.executionId });
  if (flowId === undefined) return undefined;
  const flow = await backend.describeFlow({ flowId });
  return flow?.publicFlowState === 'cancelled' ? 'its flow was cancelled' : undefined;
}
