/** How many runs there are in each state, over all partitions. */
import type { LaneCounts } from '../../../model/schedule/counts.js';
import { compareBytes, partitionKeyOf } from '../../../model/ids.js';
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { laneNameOf } from '../../shared/lane-names.js';

/** Counts of a lane, or of all lanes. States and reasons without runs are left out. */
export type StateCounts = Omit<LaneCounts, 'laneId'>;

export interface RunCounts extends StateCounts {
  /** By lane name, ascending; every lane that ever had work. */
  readonly lanes: Readonly<Record<string, StateCounts>>;
  /**
   * Lanes with unreadable counts in some partition, which is left out of all numbers: `verifyPartition` counts them
   * again. Normally none.
   */
  readonly damaged: readonly string[];
}

type Numbers = Readonly<Record<string, number>>;

const sum = (a: Numbers, b: Numbers): Numbers => {
  const total: Record<string, number> = { ...a };
  for (const [name, number] of Object.entries(b)) total[name] = (total[name] ?? 0) + number;
  return total;
};

const NOTHING: StateCounts = { total: 0, states: {}, reasons: {}, ownerless: 0, held: 0 };

const plus = (a: StateCounts, b: StateCounts): StateCounts => ({
  total: a.total + b.total,
  states: sum(a.states, b.states),
  reasons: sum(a.reasons, b.reasons),
  ownerless: a.ownerless + b.ownerless,
  held: a.held + b.held,
});

/** The counts of a deployment. Each partition is counted at a moment of its own, all within one or a few round trips. */
export async function countRuns(backend: Backend, call: <T>(read: () => Promise<T>) => Promise<T>): Promise<RunCounts> {
  const partitions = Array.from({ length: backend.partitions.count }, (_, index) => partitionKeyOf(index));
  const counted = await Promise.all(partitions.map((partition) => lanesOf(backend, partition, call)));
  const lanes = new Map<string, StateCounts>();
  const all = counted.flatMap(({ lanes: readable }) => readable);
  for (const { laneId, ...counts } of all.sort((a, b) => compareBytes(a.laneId, b.laneId))) {
    const lane = laneNameOf(laneId);
    lanes.set(lane, plus(lanes.get(lane) ?? NOTHING, counts));
  }
  const damaged = new Set(counted.flatMap((partition) => partition.damaged));
  return {
    ...[...lanes.values()].reduce(plus, NOTHING),
    lanes: Object.fromEntries(lanes),
    damaged: [...damaged].sort(compareBytes).map(laneNameOf),
  };
}

async function lanesOf(
  backend: Backend,
  partition: string,
  call: <T>(read: () => Promise<T>) => Promise<T>,
): Promise<{ readonly lanes: readonly LaneCounts[]; readonly damaged: readonly string[] }> {
  const [lanes, damaged] = [[] as LaneCounts[], [] as string[]];
  let cursor: string | undefined;
  do {
    const page = { partition, cursor, limit: LIMITS.maxPageSize };
    const answer = await call(() => backend.readCounts(page));
    lanes.push(...answer.lanes);
    damaged.push(...answer.damaged);
    cursor = answer.nextCursor;
  } while (cursor !== undefined);
  return { lanes, damaged };
}
