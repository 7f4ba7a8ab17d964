/** What decisions and reads see of metered work, and its definition. */
import { compareBytes } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued } from '../execution/situation.js';
import { queueNameOf, queueScore } from '../schedule/queue.js';
import type { Partition } from '../state.js';
import type { Admission } from './entity.js';
import { leastUrgentFrom, type Line } from './line.js';
import { meterSetOf } from './meters.js';

export interface MeteringView {
  /** An admission that was used by a claim or voided, by its short id. */
  admission(admissionId: string): Readonly<Admission> | undefined;
  /** The first entry of each metered queue of an open lane, in the order of the queues, after a given queue. */
  heads(laneId: string, after: string, limit: number): readonly ReadonlyExecution[];
  /** The line of a metered queue, also in a lane that is paused. */
  line(queue: MeteredQueue, now: number): Line;
}

/** The name of a metered queue. */
export type MeteredQueue = Pick<ReadonlyExecution, 'laneId' | 'meters' | 'requiredCapabilities' | 'executionKind'>;

/** Sort key of a metered queue in its lane: the meter set first. */
export function meteredPlaceOf(
  execution: Pick<ReadonlyExecution, 'meters' | 'requiredCapabilities' | 'executionKind'>,
): string {
  const { meters, requiredCapabilities, executionKind } = execution;
  return `${meterSetOf(meters)}\t${requiredCapabilities.join(',')}\t${executionKind}`;
}

/** The view by definition. */
export function meteringByDefinition({ state: { tables } }: Pick<Partition, 'state'>): MeteringView {
  return {
    admission: (admissionId) => tables.admission.get(admissionId),
    heads(laneId, after, limit) {
      if (tables.lane.get(laneId)?.laneState === 'paused') return [];
      const heads = new Map<string, ReadonlyExecution>();
      for (const execution of tables.execution.values()) {
        if (execution.laneId !== laneId || execution.meters.length === 0 || !isQueued(execution)) continue;
        const name = queueNameOf(execution);
        const first = heads.get(name);
        if (first === undefined || isBefore(execution, first)) heads.set(name, execution);
      }
      return placed([...heads.values()], after, limit);
    },
    line(queue, now) {
      const name = queueNameOf(queue);
      const all = [...tables.execution.values()]
        .filter((it) => it.laneId === queue.laneId && isQueued(it) && queueNameOf(it) === name)
        .sort((a, b) => (isBefore(a, b) ? -1 : 1));
      const last = all.at(-1);
      const from = leastUrgentFrom(last && queueScore(last), now);
      const oldest = from === undefined ? undefined : all.find((it) => queueScore(it) > from);
      return { waiting: all.length, oldest };
    },
  };
}

const isBefore = (a: ReadonlyExecution, b: ReadonlyExecution): boolean =>
  (queueScore(a) - queueScore(b) || compareBytes(a.executionId, b.executionId)) < 0;

/** The first entries of queues, in the order of the queues, after a given queue, at most `limit`. */
export function placed(
  heads: readonly ReadonlyExecution[],
  after: string,
  limit: number,
): readonly ReadonlyExecution[] {
  return heads
    .map((head) => ({ head, place: meteredPlaceOf(head) }))
    .filter(({ place }) => compareBytes(place, after) > 0)
    .sort((a, b) => compareBytes(a.place, b.place))
    .slice(0, limit)
    .map(({ head }) => head);
}
