/**
 * pauseLane, drainLane, resumeLane and readLane: a lane in one partition. The compositions of the engine apply them to
 * all partitions (ruling 43). The lane may be new.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, operation, query, type Accepted } from '../operation.js';
import { echoed } from '../core/wire-form.js';
import type { EventType } from '../events.js';
import type { View } from '../view.js';
import { openLane, type Lane, type laneEvents, type LaneState } from './lane.js';

const args = z.strictObject({
  partition: field.partitionKey,
  laneId: field.laneId,
  /** The reason, for the log and for readers. */
  reason: field.reason.default(''),
  /** The operator, for the log. */
  requestedBy: field.requester,
});
type Args = z.output<typeof args>;

const unchanged = <const Reason extends string>(reason: Reason) =>
  z.object({ kind: z.literal('already_satisfied'), reason: z.literal(reason) });

const declared = {
  args,
  rejects: [],
  partition: ({ partition }: Args) => partition,
  wire: { shared: [], each: ['laneId', 'reason', 'requestedBy'] },
} as const;

/** Changes the state unless the lane is in it. */
function changed<const Kind extends string, From extends LaneState>(
  { laneId, reason, requestedBy }: Args,
  now: number,
  { kind, type, from }: { kind: Kind; type: EventType & keyof typeof laneEvents; from: From },
): Accepted<{ kind: Kind; laneId: string; previousState: From }> {
  return accept({ kind, laneId, previousState: from }, { type, laneId, at: now, requestedBy, reason });
}

const stateOf = (view: View, laneId: string): LaneState => view.schedule.lane(laneId)?.laneState ?? 'open';

export const pauseLane = operation({
  ...declared,
  name: 'pauseLane',
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('lane_paused'),
      laneId: echoed(field.laneId),
      previousState: z.enum(['open', 'draining']),
    }),
    unchanged('already_paused'),
  ]),
  memory: 'frees',
  decide(view, args, { now }) {
    const from = stateOf(view, args.laneId);
    if (from === 'paused') return accept({ kind: 'already_satisfied', reason: 'already_paused' });
    return changed(args, now, { kind: 'lane_paused', type: 'lane_paused', from });
  },
});

export const drainLane = operation({
  ...declared,
  name: 'drainLane',
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('lane_drained'),
      laneId: echoed(field.laneId),
      previousState: z.enum(['open', 'paused']),
    }),
    unchanged('already_draining'),
  ]),
  memory: 'frees',
  decide(view, args, { now }) {
    const from = stateOf(view, args.laneId);
    if (from === 'draining') return accept({ kind: 'already_satisfied', reason: 'already_draining' });
    return changed(args, now, { kind: 'lane_drained', type: 'lane_drained', from });
  },
});

export const resumeLane = operation({
  ...declared,
  name: 'resumeLane',
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('lane_resumed'),
      laneId: echoed(field.laneId),
      previousState: z.enum(['paused', 'draining']),
    }),
    unchanged('already_open'),
  ]),
  memory: 'frees',
  decide(view, args, { now }) {
    const from = stateOf(view, args.laneId);
    if (from === 'open') return accept({ kind: 'already_satisfied', reason: 'already_open' });
    return changed(args, now, { kind: 'lane_resumed', type: 'lane_resumed', from });
  },
});

/** The state of a lane in one partition, with its requester, time and reason. An unknown lane is open. */
export const readLane = query({
  name: 'readLane',
  args: z.strictObject({ partition: field.partitionKey, laneId: field.laneId }),
  rejects: [],
  partition: ({ partition }) => partition,
  read: (view, { laneId }) => accept<Lane>(view.schedule.lane(laneId) ?? openLane(laneId)),
});
