/**
 * Changes a lane in all partitions (rulings 43, 44), each at a moment of its own. Repeating a change is harmless, so
 * after a failure in some partitions the call is simply repeated.
 */
import { EngineError } from '../../model/errors.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { Lane, LaneState } from '../../model/lane/lane.js';
import type { Backend } from '../backend/backend.js';

const CHANGES = { paused: 'pauseLane', draining: 'drainLane', open: 'resumeLane' } as const;

export interface ChangeOfLane {
  readonly laneId: string;
  readonly to: LaneState;
  readonly reason?: string | undefined;
  readonly requestedBy?: string | undefined;
}

/** Makes a call that can be repeated. */
type Call = <T>(command: () => Promise<T>) => Promise<T>;

const partitionsOf = ({ partitions: { count } }: Backend): string[] =>
  Array.from({ length: count }, (_, index) => partitionKeyOf(index));

/**
 * Sets the state of a lane in every partition; returns in how many it was different.
 * @throws EngineError of the first partition that failed; the detail has the number of changed partitions, and names
 *   the others
 */
export async function changeLane(backend: Backend, change: ChangeOfLane, call: Call): Promise<number> {
  const { to, ...args } = change;
  const partitions = partitionsOf(backend);
  const answers = await Promise.allSettled(
    partitions.map((partition) => call((): Promise<{ kind: string }> => backend[CHANGES[to]]({ partition, ...args }))),
  );
  const failed = partitions.filter((_, i) => answers[i]?.status === 'rejected');
  const first = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
  if (first === undefined)
    return answers.filter((answer) => answer.status === 'fulfilled' && answer.value.kind !== 'already_satisfied')
      .length;
  const { reason } = first as { reason: unknown };
  if (!(reason instanceof EngineError)) throw reason;
  const made = partitions.length - failed.length;
  throw new EngineError(
    reason.code,
    `Lane ${args.laneId} is ${to} in ${made} of ${partitions.length} partitions; repeat the call for the others.`,
    { detail: { ...reason.detail, made: String(made), failed: failed.join(' ') }, cause: reason },
  );
}

/** The lane in every partition. */
export function readLaneEverywhere(backend: Backend, laneId: string, call: Call): Promise<Lane[]> {
  return Promise.all(partitionsOf(backend).map((partition) => call(() => backend.readLane({ partition, laneId }))));
}
