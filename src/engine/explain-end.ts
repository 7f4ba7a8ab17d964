/** Explains ended executions: whether they can run again, and what comes before that. */
import { present } from '../../model/core/present.js';
import type { ExecutionInfo } from '../../model/execution/projections.js';
import type { FlowSnapshot } from '../../model/flow/reads.js';
import { beforeReplay } from './explain-dependencies.js';
import { ofSurroundings, type Sources } from './explain-surroundings.js';
import { callStep, notApplied, obstacleOf, waitStep, type Obstacle, type ObstacleStep } from './obstacle.js';

/** How to replay an execution, or why that is impossible. */
type Replay =
  | { readonly steps: readonly ObstacleStep[] }
  | { readonly steps: undefined; readonly why: string; readonly remedy: string };

export async function ofEnded(
  sources: Sources,
  info: ExecutionInfo,
  flow: FlowSnapshot | undefined,
): Promise<readonly Obstacle[]> {
  const replay = await replayOf(sources, info, flow);
  const { steps } = replay;
  if (steps === undefined)
    return [obstacleOf('ended', `It ended ${info.publicState}: ${replay.why}.`, replay.remedy, { steps })];
  const remedy = steps.length === 1 ? 'Replay it.' : 'Let what it depends on complete, then replay it.';
  // The replay comes last: it drops a deadline that passes while the other steps wait.
  const before = (await ofSurroundings(sources, info)).flatMap((obstacle) => obstacle.steps ?? []);
  return [obstacleOf('ended', `It ended ${info.publicState}.`, remedy, { steps: [...before, ...steps] })];
}

/** It is past its deadline, or will be before it can run. It expires when due work is applied. */
export async function ofExpired(
  sources: Sources,
  info: ExecutionInfo,
  flow: FlowSnapshot | undefined,
): Promise<readonly Obstacle[]> {
  const until = present(info.executionDeadlineAt);
  const { steps } = await replayOf(sources, info, flow);
  const expiry = [...(until > sources.now ? [waitStep(until)] : []), callStep('applyDue')];
  const sentence = 'Its deadline is over, but no process has noticed.';
  const overdue = { ...notApplied(sentence, until), steps: steps && [...expiry, ...steps] };
  return [overdue, ...(await ofSurroundings(sources, info))];
}

async function replayOf(
  { backend, lookAt }: Sources,
  info: ExecutionInfo,
  flow: FlowSnapshot | undefined,
): Promise<Replay> {
  const { replayCount, maxReplayCount } = info;
  if (flow?.publicFlowState === 'cancelled') {
    return { steps: undefined, why: 'its flow was cancelled', remedy: 'Run its flow again.' };
  }
  if (replayCount >= maxReplayCount) {
    return { steps: undefined, why: `its policy allows ${maxReplayCount} replays`, remedy: 'Start a new run.' };
  }
  const before = await beforeReplay(backend, info, lookAt);
  if (before === undefined) {
    const why = 'what it depends on cannot complete any more';
    return { steps: undefined, why, remedy: 'Run its flow again.' };
  }
  const seal = flow?.building ? [callStep('sealFlow', flow.flowId)] : [];
  return { steps: [...seal, ...before, callStep('replayExecution')] };
}
