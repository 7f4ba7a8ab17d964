/** Lanes: every one that ever had work in the partition. Their state (paused, draining) comes with its operations. */
import { entity, type EntityState, makes } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import type { EventNamed } from '../events.js';

export const LANE = subject('lane', 'laneId');

export const laneFacts = fact.factTable({});

export type Lane = EntityState<typeof LANE, typeof laneFacts>;

export const laneEntity = entity({
  subject: LANE,
  facts: laneFacts,
  recipes: {
    execution_created: makes(({ laneId }: EventNamed<'execution_created'>): Lane => ({ laneId }), 'keep'),
  },
});
