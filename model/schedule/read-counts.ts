/** readCounts: how many executions the lanes of a partition have in each state. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { countsOf, emptyTally, type LaneCounts } from './counts.js';

export interface CountsPage {
  /** Ascending; every lane that had work in the partition. */
  readonly lanes: readonly LaneCounts[];
  /** The lanes on the page whose counts are unreadable, ascending; `verifyPartition` counts them again. */
  readonly damaged: readonly string[];
  /** Present iff more lanes follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

const NO_TALLY = emptyTally();

export const readCounts = query({
  name: 'readCounts',
  args: z.strictObject({
    partition: field.partitionKey,
    /** The lane after which the page begins. */
    cursor: field.laneId.optional(),
    limit: field.pageSize,
  }),
  rejects: [],
  partition: ({ partition }) => partition,
  read(view, { cursor, limit }) {
    if (limit === 0) return accept<CountsPage>({ lanes: [], damaged: [], nextCursor: undefined });
    const known = view.schedule.lanes(cursor, limit + 1);
    const page = known.slice(0, limit);
    const tallies = view.schedule.tallies(page);
    const damaged = page.filter((laneId) => tallies.get(laneId) === 'damaged');
    return accept<CountsPage>({
      lanes: page.flatMap((laneId) => {
        const tally = tallies.get(laneId) ?? NO_TALLY;
        return tally === 'damaged' ? [] : [countsOf(laneId, tally)];
      }),
      damaged,
      nextCursor: known.length > limit ? page.at(-1) : undefined,
    });
  },
});
