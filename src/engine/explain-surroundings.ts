/** What keeps an execution from being claimed beside its own state: its lane and its meters. */
import type { ExecutionInfo } from '../../model/execution/projections.js';
import { partitionOfExecution } from '../../model/ids.js';
import { laneNameOf } from '../shared/lane-names.js';
import type { Backend } from '../backend/backend.js';
import type { LookAt } from './explain-dependencies.js';
import { meterObstacles, type MeterNames } from './explain-meters.js';
import { callStep, obstacleOf, type Obstacle } from './obstacle.js';

/** The app's names of the budgets and quotas of an execution. Called only for metered executions. */
export type NameMeters = (info: ExecutionInfo) => Promise<MeterNames>;

/** What an explanation is made from. */
export interface Sources {
  readonly backend: Backend;
  readonly lookAt: LookAt;
  /** The time of the server, ms since the epoch. */
  readonly now: number;
  readonly nameMeters: NameMeters;
}

export async function ofSurroundings(
  { backend, nameMeters }: Sources,
  info: ExecutionInfo,
): Promise<readonly Obstacle[]> {
  return [...(await ofLane(backend, info)), ...(await meterObstacles(backend, info.meters, () => nameMeters(info)))];
}

async function ofLane(backend: Backend, { executionId, laneId }: ExecutionInfo): Promise<Obstacle[]> {
  const lane = await backend.readLane({ partition: partitionOfExecution(executionId), laneId });
  if (lane?.laneState !== 'paused') return [];
  const why = lane.stateReason === '' ? '' : `: ${lane.stateReason}`;
  const name = laneNameOf(laneId);
  const sentence = `The lane ${name} is paused by ${lane.stateChangedBy}${why}.`;
  return [obstacleOf('lane_paused', sentence, 'Resume the lane.', { steps: [callStep('resumeLane', name)] })];
}
