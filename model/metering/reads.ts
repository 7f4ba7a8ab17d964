/**
 * listMeteredHeads: the first entry of each metered queue of a lane, by meter set: where metered work is, and how
 * urgent it is. `listQueueHeads` has the work without meters.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { headOf } from '../schedule/view.js';
import type { QueueHead } from '../schedule/queue-heads.js';
import { LIMITS } from '../limits.js';
import { meterSetOf } from './meters.js';
import { meteredPlaceOf } from './view.js';

/** The first entry of a metered queue. */
export interface MeteredHead extends QueueHead {
  readonly meters: string;
}

export interface MeteredHeadsPage {
  readonly heads: readonly MeteredHead[];
  /** Present when more may follow: the `cursor` of the next page. */
  readonly nextCursor: string | undefined;
}

/** Characters of a cursor: a queue's name. */
const MAX_CURSOR = 8_192;

export const listMeteredHeads = query({
  name: 'listMeteredHeads',
  args: z.strictObject({
    partition: field.partitionKey,
    laneId: field.laneId,
    cursor: z
      .string()
      .refine((text) => text.length <= MAX_CURSOR, { error: 'must be a cursor that a page answered' })
      .optional(),
    limit: field.integer(1, LIMITS.maxMeteredHeads).default(LIMITS.maxMeteredHeads),
  }),
  rejects: [],
  partition: (args) => args.partition,
  read(view, { laneId, cursor, limit }) {
    const found = view.metering.heads(laneId, cursor, limit);
    const last = found.length === limit ? found.at(-1) : undefined;
    return accept<MeteredHeadsPage>({
      heads: found.map((execution) => ({ ...headOf(execution), meters: meterSetOf(execution.meters) })),
      nextCursor: last === undefined ? undefined : meteredPlaceOf(last),
    });
  },
});
