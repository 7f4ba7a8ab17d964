/**
 * listQueueHeads: the first entry of each queue of some lanes of a partition: one read says where work is and how
 * urgent it is. Workers read it at their start, and after they may have missed wakes, to begin with the most urgent
 * work of all partitions (ruling 28).
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { compareBytes } from '../ids.js';

/** The first entry of a queue. */
export interface QueueHead {
  readonly laneId: string;
  readonly requiredCapabilities: readonly string[];
  readonly executionKind: string;
  /** The priority of the execution, also for lapsed work, which precedes every priority. */
  readonly priority: number;
}

const inOrder = (a: QueueHead, b: QueueHead): number =>
  compareBytes(a.laneId, b.laneId) ||
  compareBytes(a.requiredCapabilities.join(), b.requiredCapabilities.join()) ||
  compareBytes(a.executionKind, b.executionKind);

export const listQueueHeads = query({
  name: 'listQueueHeads',
  args: z.strictObject({
    partition: field.partitionKey,
    laneIds: field.lanes,
  }),
  rejects: [],
  partition: (args) => args.partition,
  /** By lane, needs and kind; empty queues are left out. */
  read(view, { laneIds }) {
    const heads = laneIds.flatMap((laneId) => view.schedule.heads(laneId));
    return accept<readonly QueueHead[]>(heads.sort(inOrder));
  },
});
