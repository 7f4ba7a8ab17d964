/** What decisions and reads see of metered work, and the same by definition. */
import { compareBytes } from '../ids.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isQueued } from '../execution/situation.js';
import { queueNameOf, queueScore } from '../schedule/queue.js';
import type { Partition } from '../state.js';
import type { Admission } from './entity.js';
import { leastUrgentFrom, type Line } from './line.js';
import { meterSetOf } from './meters.js';

export interface MeteringView {
  /** An admission that a claim used, or that was voided; by its short id. */
  admission(admissionId: string): Readonly<Admission> | undefined;
  /** The first of each metered queue of a lane that gives work, in the order of their places, behind one of them. */
  heads(laneId: string, after: string | undefined, limit: number): readonly ReadonlyExecution[];
  /** The line of a metered queue, whatever the state of its lane. */
  line(queue: MeteredQueue, now: number): Line;
}

/** What a metered queue is named by. */
export type MeteredQueue = Pick<ReadonlyExecution, 'laneId' | 'meters' | 'requiredCapabilities' | 'executionKind'>;

/** The place of a metered queue among those of its lane: by meter set first. */
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

/** Heads of queues in the order of their places, behind one of them, at most `limit`. */
export function placed(
  heads: readonly ReadonlyExecution[],
  after: string | undefined,
  limit: number,
): readonly ReadonlyExecution[] {
  return heads
    .map((head) => ({ head, place: meteredPlaceOf(head) }))
    .filter(({ place }) => after === undefined || compareBytes(place, after) > 0)
    .sort((a, b) => compareBytes(a.place, b.place))
    .slice(0, limit)
    .map(({ head }) => head);
}
