/** Events of flows, and of executions as their members. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION, filter, naming } from '../execution/facts.js';
import { BUCKETS, CANCELLATION_POLICIES, FLOW, GROUP_POLICIES, ON_SATISFIED, WALK, WALK_KINDS } from './facts.js';
import { resolvedEdges, stagedEdges } from './staged-edges.js';

/** Letters of the outcomes of edges and groups. */
const OUTCOMES = { satisfied: 's', impossible: 'i' } as const;

const walkFacet = {
  walkKind: fact.word(WALK_KINDS),
  flow: fact.id(),
  walkOf: fact.optionalId(),
  cursor: fact.words(),
};

export const flowEvents = {
  flow_created: event('flow_created', 'af', FLOW, {
    given: { flowKind: fact.text(), namespace: fact.text() },
    phase: {
      isBuilding: fact.flag(),
      isClosed: fact.flag(),
      buildDeadlineAt: fact.optionalNumber(),
      keptUntil: fact.optionalNumber(),
    },
    long: { tags: fact.map() },
  }),
  flow_sealed: event('flow_sealed', 'al', FLOW, {}),
  flow_closed: event('flow_closed', 'ac', FLOW, {}),
  flow_cancelled: event('flow_cancelled', 'ax', FLOW, {
    cancel: { cancellationPolicy: fact.word(CANCELLATION_POLICIES) },
    long: { cancelReason: fact.words() },
  }),
  flow_tags_set: event('flow_tags_set', 'at', FLOW, { long: { tags: fact.map() } }),
  /** All members have ended. They are purged together from this time on; never when it is absent. */
  flow_finished: event('flow_finished', 'az', FLOW, { finish: { purgeAt: fact.optionalNumber() } }),
  /** A member runs again, or a further one joined. */
  flow_reopened: event('flow_reopened', 'ao', FLOW, {}),
  flow_purge_begun: event('flow_purge_begun', 'aq', FLOW, {}),
  flow_purged: event('flow_purged', 'ak', FLOW, {}),

  /**
   * An existing execution joined a flow; others are created as members. `awaitsSeal`: it cannot be claimed before the flow
   * is sealed. `retentionMs`: a retention of its own.
   */
  flow_member_added: event('flow_member_added', 'am', EXECUTION, {
    membership: {
      flow: fact.id(),
      rank: fact.counter(),
      awaitsSeal: fact.flag(),
      retentionMs: fact.optionalNumber(),
      keptUntil: fact.optionalNumber(),
    },
  }),
  /** Edges lead to the execution; if it was waiting for a worker or a time, it now waits for the upstreams. */
  dependencies_staged: event('dependencies_staged', 'an', EXECUTION, {
    staging: {
      flow: fact.id(),
      isBackward: fact.flag(),
      /** The upstreams are children that the execution spawned. */
      isChild: fact.flag(),
      edgeRound: fact.counter(),
    },
    long: { edges: fact.recordsAs(stagedEdges) },
  }),
  edge_group_policy_set: event('edge_group_policy_set', 'ap', EXECUTION, {
    policy: {
      flow: fact.id(),
      groupPolicy: fact.word(GROUP_POLICIES),
      onSatisfied: fact.choice(ON_SATISFIED),
      quorumK: fact.counter(),
    },
  }),
  /** An upstream ended, which determines the state of the edge. */
  dependency_resolved: event('dependency_resolved', 'ar', EXECUTION, {
    edge: { edgeId: fact.id(), edgeOutcome: fact.word(OUTCOMES), bucket: fact.word(BUCKETS) },
  }),
  /** Upstreams that its decided group no longer needed were cancelled, which makes these edges impossible. */
  dependencies_resolved: event('dependencies_resolved', 'ai', EXECUTION, {
    long: { edges: fact.recordsAs(resolvedEdges) },
  }),
  /** The execution runs again, and the impossible edge may still be satisfied: the execution waits for it again. */
  dependency_reopened: event('dependency_reopened', 'ab', EXECUTION, { edge: { edgeId: fact.id() } }),
  edge_group_fired: event('edge_group_fired', 'ae', EXECUTION, { group: { groupOutcome: fact.word(OUTCOMES) } }),
  /** The dependencies are satisfied: it waits for a worker, or for its time. */
  dependencies_met: event('dependencies_met', 'au', EXECUTION, {}),
  /** The owner parked its attempt until the dependencies are decided. */
  children_awaited: event('children_awaited', 'ah', EXECUTION, {
    parking: { attemptTimeoutRemainingMs: fact.optionalNumber() },
  }),
  /** It ended because its dependencies can no longer be satisfied. */
  execution_skipped: event('execution_skipped', 'as', EXECUTION, {
    naming,
    skip: { purgeAt: fact.optionalNumber() },
    filter,
  }),

  /** A call left tasks for later. */
  walk_begun: event('walk_begun', 'aw', WALK, { walk: walkFacet }),
  walk_advanced: event('walk_advanced', 'av', WALK, { walk: walkFacet }),
  walk_ended: event('walk_ended', 'ay', WALK, { walk: walkFacet }),
} as const;
