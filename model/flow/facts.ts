/**
 * What is stored of flows. A flow is a graph of executions in one partition: its members, what they wait for, and rules
 * for how many of it they need. An edge is a fact of its downstream, and gone with it; so is the group of all edges that
 * lead there. What a call leaves to be done later is a walk. Spec 08 section 1.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

/** Flows, as subjects of events. Inside a partition a flow is known by its UUID. */
export const FLOW = subject('flow', 'flow', { shortId: true });

/** Walks, as subjects of events. */
export const WALK = subject('walk', 'walkId');

/** What a cancelled flow does to its members (spec 08 section 9.2), and the letters under which that is stored. */
export const CANCELLATION_POLICIES = { flow_only: 'f', cancel_all: 'a', cancel_pending: 'p' } as const;
export type CancellationPolicy = keyof typeof CANCELLATION_POLICIES;

export const FLOW_STATES = { open: 'o', cancelled: 'x' } as const;

export const flowFacts = fact.factTable({
  given: {
    /** What it is, for its users; never interpreted. */
    flowKind: fact.text(),
    namespace: fact.text(),
    createdAt: fact.number(),
    /** When it is cancelled if it is still being built; of those alone that were created `building`. */
    buildDeadlineAt: fact.optionalNumber(),
  },
  life: {
    flowState: fact.choice(FLOW_STATES),
    /** Members cannot be claimed, and no group decides, before it is sealed (ruling 29). */
    isBuilding: fact.flag(),
    /** It takes no further members and edges. */
    isClosed: fact.flag(),
    /** Goes up with every member, edge and policy; never down. */
    graphRevision: fact.counter(),
    nodeCount: fact.counter(),
    edgeCount: fact.counter(),
    /** Whether some edge leads to a member that joined before its upstream: then the ranks do not rule out a cycle. */
    isUnordered: fact.flag(),
    lastMutationAt: fact.number(),
    /** When its members are forgotten: set while it has members and all have ended. */
    purgeAt: fact.optionalNumber(),
    /** Its members are being forgotten; nothing of it begins anew. */
    isPurging: fact.flag(),
    /** Groups whose remaining upstreams are still to be cancelled. */
    owingGroups: fact.counter(),
  },
  cancel: {
    cancelledAt: fact.optionalNumber(),
    cancellationPolicy: fact.choice(CANCELLATION_POLICIES),
  },
  long: { cancelReason: fact.words(), tags: fact.map() },
});

export type Flow = EntityState<typeof FLOW, typeof flowFacts>;
export type ReadonlyFlow = Readonly<Flow>;

/** What a walk does, and the letters under which that is stored. */
export const WALK_KINDS = {
  /** Resolves what leads out of an execution that ended. */
  resolve: 'r',
  /** Cancels the upstreams of a group that decided and needs no more of them. */
  siblings: 's',
  /** Cancels the members of a flow. */
  cancel: 'c',
  /** Asks each member of a flow whether it can go on: the flow was sealed, or closed. */
  evaluate: 'e',
} as const;
export type WalkKind = keyof typeof WALK_KINDS;

export const walkFacts = fact.factTable({
  walk: {
    walkKind: fact.word(WALK_KINDS),
    /** UUID of the flow. */
    walkFlow: fact.id(),
    /** UUID of the execution that it is about; nothing when it is about the flow. */
    walkOf: fact.optionalId(),
    /** When its next part is due, ms since the epoch. */
    walkAt: fact.number(),
    /** The last edge (UUID) or rank that it has done; empty before the first. */
    cursor: fact.words(),
  },
});

export type Walk = EntityState<typeof WALK, typeof walkFacts>;

/** How many of what leads to an execution it needs, and the letters under which that is stored. */
export const GROUP_POLICIES = { all_of: 'a', any_of: 'y', quorum: 'q' } as const;
export type GroupPolicy = keyof typeof GROUP_POLICIES;

/** What becomes of upstreams that a group does not need any more. */
export const ON_SATISFIED = { none: 'n', cancel_remaining: 'c', let_run: 'l' } as const;
export const GROUP_STATES = { none: 'n', pending: 'p', satisfied: 's', impossible: 'i' } as const;

/** Where an execution belongs; of those that are in no flow nothing of this is stored. */
export const membershipFacet = {
  /** UUID of its flow, for ever. */
  flow: fact.optionalId(),
  /** Its place in the order in which members joined, from 0. */
  rank: fact.counter(),
};

/** What an execution waits for, counted. Spec 08 section 5. */
export const groupFacet = {
  groupPolicy: fact.choice(GROUP_POLICIES),
  onSatisfied: fact.choice(ON_SATISFIED),
  /** Of a quorum. */
  quorumK: fact.counter(),
  /** Edges that lead here. */
  dependencyCount: fact.counter(),
  succeededCount: fact.counter(),
  failedCount: fact.counter(),
  skippedCount: fact.counter(),
  groupState: fact.choice(GROUP_STATES),
  satisfiedAt: fact.optionalNumber(),
  /** An execution that spawned what it waits for goes on when that cannot be any more: it is not skipped. */
  isParent: fact.flag(),
  /** How often a parent has begun to wait for further children. */
  groupRound: fact.counter(),
};

/** States of an edge, and the letters under which they are stored. */
export const EDGE_STATES = { unsatisfied: 'u', satisfied: 's', impossible: 'i' } as const;
export type EdgeState = keyof typeof EDGE_STATES;

/** How an upstream ended, as groups count it (spec 08 section 5), and the letters under which that is stored. */
export const BUCKETS = { succeeded: 's', failed: 'f', skipped: 'k' } as const;
export type Bucket = keyof typeof BUCKETS;
const EDGE_BUCKETS = { none: 'n', ...BUCKETS } as const;

/** Facts of an edge, in the form in which it is stored beside its downstream. */
export const dependencyFacts = {
  upstream: fact.id(),
  edgeState: fact.choice(EDGE_STATES),
  edgeRound: fact.counter(),
  stagedAt: fact.number(),
  resolvedAt: fact.optionalNumber(),
  /** How its group counts it. */
  bucket: fact.choice(EDGE_BUCKETS),
  /** It was resolved when its group was decided already, and has no part in that. */
  isLate: fact.flag(),
  /** What its upstream gives its downstream; empty when nothing is passed. */
  dataPassingRef: fact.words(),
};

export type Dependency = fact.StateOf<{ readonly dependency: typeof dependencyFacts }>;

/** What leads to an execution, by the id of the edge. */
export type Dependencies = Record<string, Dependency>;
