/** The refusal of new runs by a lane that is being drained, in the words of the app. */
import { EngineError } from '../../model/errors.js';
import { laneNameOf } from '../shared/lane-names.js';

/** Makes a call; a refusal by a drained lane names the task or flow and the lane. */
export async function namingLane<Value>(what: string, call: () => Promise<Value>): Promise<Value> {
  try {
    return await call();
  } catch (error) {
    const lane = error instanceof EngineError && error.code === 'lane_draining' ? error.detail['laneId'] : undefined;
    if (lane === undefined) throw error;
    const message = `${what}: the lane "${laneNameOf(lane)}" is being drained and takes no new runs.`;
    throw new EngineError('lane_draining', message, { detail: { laneId: lane }, cause: error });
  }
}
