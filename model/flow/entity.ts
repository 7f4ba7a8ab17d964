/** Flows and walks as entities: their facts, their recipes, their timers. */
import { changes, entity, makes, makesOrChanges, removes } from '../core/entity.js';
import { mergedTags } from '../execution/tags.js';
import type { Event, EventNamed } from '../events.js';
import { FLOW, flowFacts, WALK, walkFacts, type Flow, type ReadonlyFlow, type Walk } from './facts.js';
import { keepingOf, keepWith, type Keeping } from './retention.js';
import { hasBuildDeadline } from './state.js';

const created = (event: EventNamed<'flow_created'>): Flow => ({
  flow: event.flow,
  flowKind: event.flowKind,
  namespace: event.namespace,
  createdAt: event.at,
  buildDeadlineAt: event.buildDeadlineAt,
  flowState: 'open',
  isBuilding: event.isBuilding,
  isClosed: event.isClosed,
  graphRevision: 0,
  nodeCount: 0,
  edgeCount: 0,
  isUnordered: false,
  lastMutationAt: event.at,
  purgeAt: undefined,
  isPurging: false,
  owingGroups: 0,
  isKept: false,
  hasOwnRetention: false,
  hasMemberForGood: false,
  longestRetentionMs: 0,
  keptUntil: event.keptUntil ?? 0,
  cancelledAt: undefined,
  cancellationPolicy: 'flow_only',
  cancelReason: '',
  tags: event.tags,
});

/** A recipe that changes the flow itself. */
const mutates = <Type extends Event['type']>(change: (flow: Flow, event: EventNamed<Type>) => void) =>
  changes((flow: Flow, event: EventNamed<Type>) => {
    change(flow, event);
    flow.lastMutationAt = event.at;
  });

/** A member joined. */
function joined(flow: Flow, at: number, keeping: Keeping): void {
  keepWith(flow, keeping);
  flow.nodeCount += 1;
  flow.graphRevision += 1;
  flow.lastMutationAt = at;
}

export const flowEntity = entity({
  subject: FLOW,
  facts: flowFacts,
  recipes: {
    flow_created: makes(created),
    flow_sealed: mutates<'flow_sealed'>((flow) => {
      flow.isBuilding = false;
    }),
    flow_closed: mutates<'flow_closed'>((flow) => {
      flow.isClosed = true;
    }),
    flow_cancelled: mutates<'flow_cancelled'>((flow, event) => {
      flow.flowState = 'cancelled';
      flow.cancelledAt = event.at;
      flow.cancellationPolicy = event.cancellationPolicy;
      flow.cancelReason = event.cancelReason;
    }),
    flow_tags_set: mutates<'flow_tags_set'>((flow, event) => {
      flow.tags = mergedTags(flow.tags, event.tags);
    }),
    flow_finished: changes((flow: Flow, { purgeAt }: EventNamed<'flow_finished'>) => {
      flow.purgeAt = purgeAt;
      flow.isKept = purgeAt === undefined;
    }),
    flow_reopened: changes((flow: Flow) => {
      flow.purgeAt = undefined;
      flow.isKept = false;
    }),
    flow_purge_begun: changes((flow: Flow) => {
      flow.isPurging = true;
    }),
    flow_purged: removes,
    // An execution that is created in no flow names none.
    execution_created: makesOrChanges(
      () => undefined,
      (flow: Flow, event: EventNamed<'execution_created'>) => joined(flow, event.at, keepingOf(event)),
    ),
    flow_member_added: changes((flow: Flow, { at, ...keeping }: EventNamed<'flow_member_added'>) =>
      joined(flow, at, keeping),
    ),
    dependencies_staged: mutates<'dependencies_staged'>((flow, event) => {
      flow.edgeCount += event.edges.length;
      flow.graphRevision += event.edges.length;
      if (event.isBackward) flow.isUnordered = true;
    }),
    edge_group_policy_set: mutates<'edge_group_policy_set'>((flow) => {
      flow.graphRevision += 1;
    }),
    walk_begun: changes((flow: Flow, event: EventNamed<'walk_begun'>) => {
      if (event.walkKind === 'siblings') flow.owingGroups += 1;
    }),
    walk_ended: changes((flow: Flow, event: EventNamed<'walk_ended'>) => {
      if (event.walkKind === 'siblings') flow.owingGroups -= 1;
    }),
  },
  timerOf: (flow: ReadonlyFlow) => (hasBuildDeadline(flow) ? flow.buildDeadlineAt : flow.purgeAt),
});

const begun = (event: EventNamed<'walk_begun'>): Walk => ({
  walkId: event.walkId,
  walkKind: event.walkKind,
  walkFlow: event.flow,
  walkOf: event.walkOf,
  walkAt: event.at,
  cursor: event.cursor,
});

export const walkEntity = entity({
  subject: WALK,
  facts: walkFacts,
  recipes: {
    walk_begun: makes(begun),
    walk_advanced: changes((walk: Walk, event: EventNamed<'walk_advanced'>) => {
      walk.walkAt = event.at;
      walk.cursor = event.cursor;
    }),
    walk_ended: removes,
  },
  timerOf: ({ walkAt }: Readonly<Walk>) => walkAt,
});
