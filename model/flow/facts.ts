/**
 * What is stored of flows. A flow is a graph of executions in one partition: its members, their edges, and group
 * policies. An edge is a fact of its downstream, and is purged with it; so is the group of all edges to the same
 * downstream. A task that a call leaves for later is a walk. Spec 08 section 1.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

/** Flows as subjects of events. Inside a partition a flow is identified by its UUID. */
export const FLOW = subject('flow', 'flow', { shortId: true });

/** Walks as subjects of events. */
export const WALK = subject('walk', 'walkId');

/** The effect of a flow's cancellation on its members (spec 08 section 9.2), with stored letters. */
export const CANCELLATION_POLICIES = { flow_only: 'f', cancel_all: 'a', cancel_pending: 'p' } as const;
export type CancellationPolicy = keyof typeof CANCELLATION_POLICIES;

export const FLOW_STATES = { open: 'o', cancelled: 'x' } as const;

export const flowFacts = fact.factTable({
  given: {
    /** A label for users; never interpreted. */
    flowKind: fact.text(),
    namespace: fact.text(),
    createdAt: fact.number(),
    /** A flow that is still building is cancelled at this time; only for flows that were created `building`. */
    buildDeadlineAt: fact.optionalNumber(),
  },
  life: {
    flowState: fact.choice(FLOW_STATES),
    /** Until it is sealed, its members cannot be claimed and no group is decided (ruling 29). */
    isBuilding: fact.flag(),
    /** It accepts no further members and edges. */
    isClosed: fact.flag(),
    /** Increases with every member, edge and policy; never decreases. */
    graphRevision: fact.counter(),
    nodeCount: fact.counter(),
    edgeCount: fact.counter(),
    /** Whether an edge leads to a member that joined before its upstream, so that ranks do not rule out a cycle. */
    isUnordered: fact.flag(),
    lastMutationAt: fact.number(),
    /** When its members are purged; set while it has members and all of them have ended. */
    purgeAt: fact.optionalNumber(),
    /** Its members are being purged; none of them can run again. */
    isPurging: fact.flag(),
    /** Number of groups whose remaining upstreams have yet to be cancelled. */
    owingGroups: fact.counter(),
    /** All its members have ended, and it is kept for good. */
    isKept: fact.flag(),
  },
  /** How long it is kept once it has finished; all absent if every member has the retention of the deployment. */
  keeping: {
    /** Every member has a retention of its own, so that of the deployment does not count. */
    hasOwnRetention: fact.flag(),
    /** A member is kept for good. */
    hasMemberForGood: fact.flag(),
    /** The longest of the retentions that members have of their own, ms. */
    longestRetentionMs: fact.counter(),
    /** It is not purged before: the latest expiry of the idempotency keys of its members, and of its own. */
    keptUntil: fact.counter(),
  },
  cancel: {
    cancelledAt: fact.optionalNumber(),
    cancellationPolicy: fact.choice(CANCELLATION_POLICIES),
  },
  long: { cancelReason: fact.words(), tags: fact.map() },
});

export type Flow = EntityState<typeof FLOW, typeof flowFacts>;
export type ReadonlyFlow = Readonly<Flow>;

/** Kinds of walks and their stored letters. */
export const WALK_KINDS = {
  /** Resolves the outgoing edges of an execution that ended. */
  resolve: 'r',
  /** Cancels the upstreams that a decided group no longer needs. */
  siblings: 's',
  /** Cancels the members of a flow. */
  cancel: 'c',
  /** Checks whether each member of a flow can continue after the flow was sealed, closed or cancelled. */
  evaluate: 'e',
} as const;
export type WalkKind = keyof typeof WALK_KINDS;

export const walkFacts = fact.factTable({
  walk: {
    walkKind: fact.word(WALK_KINDS),
    /** UUID of the flow. */
    walkFlow: fact.id(),
    /** UUID of the execution that it concerns; undefined if it concerns the flow. */
    walkOf: fact.optionalId(),
    /** When its next part is due, ms since the epoch. */
    walkAt: fact.number(),
    /** The last edge (UUID) or rank that is done; empty before the first. */
    cursor: fact.words(),
  },
});

export type Walk = EntityState<typeof WALK, typeof walkFacts>;

/** How many upstreams an execution needs, with stored letters. */
export const GROUP_POLICIES = { all_of: 'a', any_of: 'y', quorum: 'q' } as const;

/** The treatment of upstreams that a group no longer needs. */
export const ON_SATISFIED = { none: 'n', cancel_remaining: 'c', let_run: 'l' } as const;
export const GROUP_STATES = { none: 'n', pending: 'p', satisfied: 's', impossible: 'i' } as const;

/** Membership in a flow; not stored for executions without one. */
export const membershipFacet = {
  /** UUID of its flow; never changes. */
  flow: fact.optionalId(),
  /** Its position in the order of joining, from 0. */
  rank: fact.counter(),
};

/** The counts of an execution's dependencies. Spec 08 section 5. */
export const groupFacet = {
  groupPolicy: fact.choice(GROUP_POLICIES),
  onSatisfied: fact.choice(ON_SATISFIED),
  /** The number of a quorum. */
  quorumK: fact.counter(),
  /** Number of incoming edges. */
  dependencyCount: fact.counter(),
  succeededCount: fact.counter(),
  failedCount: fact.counter(),
  skippedCount: fact.counter(),
  groupState: fact.choice(GROUP_STATES),
  satisfiedAt: fact.optionalNumber(),
  /**
   * The execution spawned children: when it can no longer get what it needs from them, it continues and is not skipped.
   */
  isParent: fact.flag(),
  /** How many sets of children a parent has started. */
  groupRound: fact.counter(),
  /** How many ends of children were recorded, of all rounds. */
  endedChildren: fact.counter(),
  /** How many children have not ended, of all rounds. */
  openChildren: fact.counter(),
};

/** States of an edge and their stored letters. */
export const EDGE_STATES = { unsatisfied: 'u', satisfied: 's', impossible: 'i' } as const;
export type EdgeState = keyof typeof EDGE_STATES;

/** How groups count the end of an upstream (spec 08 section 5), with stored letters. */
export const BUCKETS = { succeeded: 's', failed: 'f', skipped: 'k' } as const;
export type Bucket = keyof typeof BUCKETS;
const EDGE_BUCKETS = { none: 'n', ...BUCKETS } as const;

/** Facts of an edge, in the form in which they are stored beside its downstream. */
export const dependencyFacts = {
  upstream: fact.id(),
  edgeState: fact.choice(EDGE_STATES),
  edgeRound: fact.counter(),
  stagedAt: fact.number(),
  resolvedAt: fact.optionalNumber(),
  /** How its group counts it. */
  bucket: fact.choice(EDGE_BUCKETS),
  /**
   * It was resolved after its group was decided, and did not take part in the decision. Not late are successes in an
   * impossible group, because a replay of the downstream counts them, and edges of older groups of children, which the
   * handler of their parent decides.
   */
  isLate: fact.flag(),
  /** The number of its last recorded end among those of its parent's children, from 1; 0 before, and without a parent. */
  endOrder: fact.counter(),
  /** A label for the data that the upstream passes to the downstream; empty when none is passed. */
  dataPassingRef: fact.words(),
};

export type Dependency = fact.StateOf<{ readonly dependency: typeof dependencyFacts }>;

/** The incoming edges of an execution, by edge id. */
export type Dependencies = Record<string, Dependency>;
