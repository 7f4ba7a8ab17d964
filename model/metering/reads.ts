/**
 * listMeteredHeads: the first entry of each metered queue of some lanes of a partition, by lane and meter set: where
 * metered work is, and how urgent it is. `listQueueHeads` has the work without meters.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { compareBytes } from '../ids.js';
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

/** Characters of a cursor: a lane and a queue's name. */
const MAX_CURSOR = 8_192;

/** The lanes that a page still has to read, and the queue after which the first of them starts; empty for all. */
export function lanesToRead(
  laneIds: readonly string[],
  cursor: string | undefined,
): { readonly laneIds: readonly string[]; readonly after: string } {
  const [lane = '', ...place] = (cursor ?? '').split('\t');
  const rest = laneIds.filter((laneId) => compareBytes(laneId, lane) >= 0);
  return { laneIds: rest, after: rest[0] === lane ? place.join('\t') : '' };
}

export const listMeteredHeads = query({
  name: 'listMeteredHeads',
  args: z.strictObject({
    partition: field.partitionKey,
    laneIds: field.lanes,
    cursor: z
      .string()
      .refine((text) => text.length <= MAX_CURSOR, { error: 'must be a cursor that a page answered' })
      .optional(),
    limit: field.integer(1, LIMITS.maxMeteredHeads).default(LIMITS.maxMeteredHeads),
  }),
  rejects: [],
  partition: (args) => args.partition,
  read(view, { laneIds, cursor, limit }) {
    const rest = lanesToRead(laneIds, cursor);
    const found: ReadonlyExecution[] = [];
    for (const [index, laneId] of rest.laneIds.entries())
      found.push(...view.metering.heads(laneId, index === 0 ? rest.after : '', limit - found.length));
    const last = found.length === limit ? found.at(-1) : undefined;
    return accept<MeteredHeadsPage>({
      heads: found.map((execution) => ({ ...headOf(execution), meters: meterSetOf(execution.meters) })),
      nextCursor: last && `${last.laneId}\t${meteredPlaceOf(last)}`,
    });
  },
});
