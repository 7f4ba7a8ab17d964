/**
 * listQueueHeads: what is first in each queue of some lanes of a partition: one read tells where there is work and how
 * urgent it is. Workers that begin, and those whose wakes may have been lost, so go for the most urgent work of all
 * partitions first (ruling 28).
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../core/operation.js';
import { compareBytes } from '../ids.js';
import { LIMITS } from '../limits.js';

/** The first of a queue. */
export interface QueueHead {
  readonly laneId: string;
  readonly requiredCapabilities: readonly string[];
  readonly executionKind: string;
  /** Its priority; lapsed work, which comes before every priority, has its own too. */
  readonly priority: number;
}

const inOrder = (a: QueueHead, b: QueueHead): number =>
  compareBytes(a.laneId, b.laneId) ||
  compareBytes(a.requiredCapabilities.join(), b.requiredCapabilities.join()) ||
  compareBytes(a.executionKind, b.executionKind);

export const listQueueHeads = query({
  name: 'listQueueHeads',
  args: z.object({
    partition: field.partitionKey,
    laneIds: z.array(field.laneId).min(1).max(LIMITS.maxLanesPerRead),
  }),
  rejects: [],
  partition: (args) => args.partition,
  /** By lane, needs and kind; queues without work are left out. */
  read(view, { laneIds }) {
    const heads = [...new Set(laneIds)].flatMap((laneId) => view.schedule.heads(laneId));
    return accept<readonly QueueHead[]>(heads.sort(inOrder));
  },
});
