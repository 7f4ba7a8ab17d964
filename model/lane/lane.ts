/**
 * Lanes of a partition: every lane that had work or a state. A paused lane accepts work and gives none; a draining lane
 * gives its work and refuses new executions, while retries and resumptions continue (ruling 44).
 */
import { entity, type EntityState, makes } from '../core/entity.js';
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';

export const LANE = subject('lane', 'laneId');

/** States of a lane, and the letters under which they are stored. */
export const LANE_STATES = { open: 'o', paused: 'p', draining: 'd' } as const;
export type LaneState = keyof typeof LANE_STATES;

/** The facet `state` exists only for lanes that were paused or drained at least once. */
export const laneFacts = fact.factTable({
  state: {
    laneState: fact.choice(LANE_STATES),
    /** Last change of the state; absent when it was always open. */
    stateChangedAt: fact.optionalNumber(),
  },
  long: { stateChangedBy: fact.words(), stateReason: fact.words() },
});

export type Lane = EntityState<typeof LANE, typeof laneFacts>;

const about = { request: { requestedBy: fact.words() }, long: { reason: fact.words() } };

export const laneEvents = {
  lane_paused: event('lane_paused', 'Pp', LANE, about),
  lane_drained: event('lane_drained', 'Pd', LANE, about),
  lane_resumed: event('lane_resumed', 'Pr', LANE, about),
} as const;

type LaneEvent = EventNamed<keyof typeof laneEvents>;

const becomes = (laneState: LaneState) =>
  makes(
    ({ laneId, at, requestedBy, reason }: LaneEvent): Lane => ({
      laneId,
      laneState,
      stateChangedAt: at,
      stateChangedBy: requestedBy,
      stateReason: reason,
    }),
    'replace',
  );

/** The lane without a record: always open. */
export const openLane = (laneId: string): Lane => ({
  laneId,
  laneState: 'open',
  stateChangedAt: undefined,
  stateChangedBy: '',
  stateReason: '',
});

export const laneEntity = entity({
  subject: LANE,
  facts: laneFacts,
  recipes: {
    execution_created: makes(({ laneId }: EventNamed<'execution_created'>): Lane => openLane(laneId), 'keep'),
    lane_paused: becomes('paused'),
    lane_drained: becomes('draining'),
    lane_resumed: becomes('open'),
  },
});
