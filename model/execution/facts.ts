/**
 * What is stored of an execution, from its creation to its purge. Everything else in the contract (state vector,
 * completion time, lease times) is derived in `projections.ts`.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import { keysOf, tableOf } from '../core/tables.js';
import { groupFacet, membershipFacet, type Dependencies } from '../flow/facts.js';
import { SUSPEND_REASONS, type Waiting } from '../suspension/facts.js';
import { policyText } from './policy-text.js';
import { NEXT_ATTEMPTS, SITUATIONS } from './situation.js';

/** Executions, as subjects of events. */
export const EXECUTION = subject('execution', 'executionId');

const lettersOf = <Word extends string>(rows: Readonly<Record<Word, { readonly letter: string }>>) =>
  tableOf(keysOf(rows), (word) => rows[word].letter);

/** Identity and placement; never changes. Repeated in the events that begin and end an execution. */
export const naming = {
  namespace: fact.text(),
  laneId: fact.text(),
  executionKind: fact.text(),
  creatorIdentity: fact.text(),
};

/** The naming and the indexed tags. The tags come last, because most executions have none. */
export const filter = { filterTags: fact.map() };

/** Set at creation. */
export const given = {
  priority: fact.counter(),
  /** Size of the input payload, bytes; the bytes themselves live beside the state. */
  payloadBytes: fact.counter(),
  payloadEncoding: fact.optionalText(),
};

/** Bounds of its life; most executions have none. */
export const bounds = {
  /** The execution expires at this time in any state. */
  executionDeadlineAt: fact.optionalNumber(),
  /** Its idempotency key is valid until then, if it is not held (`heldKey`). It is not purged before. */
  idempotencyExpiresAt: fact.optionalNumber(),
};

/**
 * The owner's proof of ownership. Epoch and attempt id outlive the lease, so that a repeated final call is recognised.
 */
const fence = {
  /** Number of acquisitions; never decreases. */
  currentLeaseEpoch: fact.counter(),
  currentLeaseId: fact.ofOwner(fact.optionalId()),
  currentAttemptId: fact.optionalId(),
};

export const executionFacts = fact.factTable({
  naming,
  given: { ...given, createdAt: fact.number() },
  bounds: {
    ...bounds,
    /** When the next unused waitpoint expires; unset without one. */
    pendingExpiresAt: fact.optionalNumber(),
  },
  own: {
    /** Its idempotency key, if that names it for as long as it exists; else unset. */
    heldKey: fact.optionalText(),
  },
  needs: {
    /** Ascending by bytes. A worker may run the execution if it offers all of them. */
    requiredCapabilities: fact.list(),
    /** Tokens of its meters, see `model/metering/meters.ts`. Most executions have none. */
    meters: fact.list(),
  },
  life: {
    situation: fact.word(lettersOf(SITUATIONS)),
    /** What the next claim starts, while runnable; `first` otherwise. */
    nextAttempt: fact.choice(NEXT_ATTEMPTS),
    /**
     * The time of the situation: expiry of the lease while active, end of the delay while delayed, purge while terminal
     * (unset when kept for good), unset while ready.
     */
    dueAt: fact.optionalNumber(),
    /** Last change of the situation, which includes completion, a recorded lapse and a revocation. */
    lastTransitionAt: fact.number(),
    /** Time of the first claim. */
    startedAt: fact.optionalNumber(),
    /** Attempts so far; the current one has index `totalAttemptCount - 1`. */
    totalAttemptCount: fact.counter(),
  },
  wait: {
    /** End of the delay set by its creator, worker or policy; kept until it is over, that of a retry until its claim. */
    delayUntil: fact.optionalNumber(),
  },
  fence,
  worker: {
    currentWorkerId: fact.ofOwner(fact.optionalText()),
    currentWorkerInstanceId: fact.ofOwner(fact.optionalText()),
  },
  timing: {
    /** When the current attempt times out; set while active, from when its handler could start. */
    attemptTimeoutAt: fact.ofOwner(fact.optionalNumber()),
    /** Remaining timeout of the attempt while it is stopped (parked, or claimed ahead), ms. */
    attemptTimeoutRemainingMs: fact.optionalNumber(),
    leaseLastRenewedAt: fact.ofOwner(fact.optionalNumber()),
  },
  retries: {
    retryCount: fact.counter(),
    leaseReclaimCount: fact.counter(),
    leaseReleaseCount: fact.counter(),
    failureCategory: fact.optionalText(),
    /** Number of the last reclaims that each came within `LIMITS.lossMemoryMs` of the one before. */
    recentLossCount: fact.counter(),
    /** When it was last reclaimed, in this run. */
    lastLostAt: fact.optionalNumber(),
    /** The length of the last lease that its owner lost, in this run, ms. */
    lostLeaseMs: fact.optionalNumber(),
  },
  hold: {
    /** Since when an operator holds it; unset while not held (ruling 23). */
    heldAt: fact.optionalNumber(),
    heldBy: fact.optionalText(),
  },
  streams: {
    /** Index of the newest attempt that has a stream. */
    lastStreamIndex: fact.optionalNumber(),
  },
  edits: {
    /** Number of replays. */
    replayCount: fact.counter(),
    /** Last change that is no transition: priority, tags, end of a hold, escalation of a suspension. */
    editedAt: fact.optionalNumber(),
  },
  /** The worker with a grant. Granted work is in no queue (spec 05 section 8.1). */
  grant: {
    /** The last millisecond in which the grant can be used; unset without a grant. */
    grantExpiresAt: fact.optionalNumber(),
    grantId: fact.optionalId(),
    grantWorkerId: fact.optionalText(),
    grantWorkerInstanceId: fact.optionalText(),
    /** Whether other instances of the worker are excluded. */
    grantIsStrict: fact.flag(),
  },
  progress: {
    progressPct: fact.optionalNumber(),
    progressUpdatedAt: fact.optionalNumber(),
  },
  pause: {
    /** The reason of its last suspension. */
    suspendReason: fact.choice(SUSPEND_REASONS),
  },
  membership: membershipFacet,
  group: groupFacet,
  kept: {
    /** Number of signals that arrived while nothing waited for them. */
    keptSignalCount: fact.counter(),
  },
  ending: {
    cancelledBy: fact.optionalText(),
    /** Size of the result, bytes; unset when the execution completed without one. */
    resultBytes: fact.optionalNumber(),
    resultEncoding: fact.optionalText(),
  },
  long: {
    /** In key order. */
    tags: fact.map(),
    policy: fact.treeAs(policyText),
    /** Reasons can be empty: category and canceller tell whether there was a failure or a cancellation. */
    failureReason: fact.words(),
    /** Failure details for programs, base64. */
    failureDetail: fact.optionalText(),
    cancellationReason: fact.words(),
    holdReason: fact.words(),
    /** The scheduler's description of the block; kept while blocked. */
    blockingDetail: fact.words(),
    progressMessage: fact.optionalText(),
    leaseRevokeReason: fact.ofOwner(fact.words()),
  },
  beside: {
    /** Number of recorded steps, and bytes of their values (ruling 47). The steps themselves are beside the state. */
    stepCount: fact.counter(),
    stepBytes: fact.counter(),
    /** Suspension, waitpoints and signals, see `model/suspension/facts.ts`. Unset when it never waited. */
    waiting: fact.tree<Waiting>(),
    /** Dependencies by edge, see `model/flow/facts.ts`. Unset when no edge ever led to it. */
    dependencies: fact.tree<Dependencies>(),
  },
});

export type Execution = EntityState<typeof EXECUTION, typeof executionFacts>;

/** The execution as decisions see it: read-only. */
export type ReadonlyExecution = Readonly<Execution>;

/** An execution with an owner, or with an owner that was lost. */
export type ActiveExecution = ReadonlyExecution & {
  readonly situation: 'running' | 'lease_expired' | 'lease_revoked';
  readonly dueAt: number;
  readonly currentLeaseId: string;
  readonly currentAttemptId: string;
  readonly currentWorkerId: string;
  readonly currentWorkerInstanceId: string;
};

/** The identity of an execution, for the events that repeat it. */
export function namesOf({ namespace, laneId, executionKind, creatorIdentity }: ReadonlyExecution) {
  return { namespace, laneId, executionKind, creatorIdentity };
}

/** For an execution without any. */
export const NO_TAGS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * The identity that the events which end an execution, and signals, repeat, so that their readers can filter after a
 * purge (ruling 16). The indexed tags are added where events are recorded, see `filter-tags.ts`.
 */
export function namingOf({ namespace, laneId, executionKind, creatorIdentity }: ReadonlyExecution) {
  return { namespace, laneId, executionKind, creatorIdentity, filterTags: NO_TAGS };
}
