/**
 * What is stored of an execution: one run of some work, from its creation to its purge. Everything else that the
 * contract shows (state vector, completion time, lease times) is derived in `projections.ts`.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';
import { groupFacet, membershipFacet, type Dependencies } from '../flow/facts.js';
import { SUSPEND_REASONS, type Waiting } from '../suspension/facts.js';
import type { ExecutionPolicy } from './policy.js';
import { NEXT_ATTEMPTS, SITUATIONS } from './situation.js';

/** Executions, as subjects of events. */
export const EXECUTION = subject('execution', 'executionId');

const lettersOf = <Word extends string>(rows: Readonly<Record<Word, { readonly letter: string }>>) =>
  Object.fromEntries(Object.entries<{ letter: string }>(rows).map(([word, { letter }]) => [word, letter])) as Record<
    Word,
    string
  >;

/** Where it belongs and what it is; never changes. Repeated by the events that begin and end a life. */
export const naming = {
  namespace: fact.text(),
  laneId: fact.text(),
  executionKind: fact.text(),
  creatorIdentity: fact.text(),
};

/** Those of its tags that the deployment has indexed, beside what it is called. Comes last: most have none. */
export const filter = { filterTags: fact.map() };

/** What its creation gave it. */
export const given = {
  priority: fact.counter(),
  /** Size of the input payload, bytes; the bytes themselves live beside the state. */
  payloadBytes: fact.counter(),
  payloadEncoding: fact.optionalText(),
};

/** What bounds its life; most executions have none of it. */
export const bounds = {
  /** Time at which the execution ends `expired` whatever it does. */
  executionDeadlineAt: fact.optionalNumber(),
  /** Until when its idempotency key points to it: it is not forgotten before. */
  idempotencyExpiresAt: fact.optionalNumber(),
};

/** What an owner proves itself by. Epoch and attempt outlive the lease, so that a repeated final call is recognised. */
const fence = {
  /** Acquisitions so far; never decreases. */
  currentLeaseEpoch: fact.counter(),
  currentLeaseId: fact.ofOwner(fact.optionalId()),
  currentAttemptId: fact.optionalId(),
};

export const executionFacts = fact.factTable({
  naming,
  given: { ...given, createdAt: fact.number() },
  bounds: {
    ...bounds,
    /** When the next waitpoint that no suspension has used yet is over; unset while there is none. */
    pendingExpiresAt: fact.optionalNumber(),
  },
  needs: {
    /** Ascending by bytes. A worker may run the execution if it offers all of them. */
    requiredCapabilities: fact.list(),
    /** Tokens of what it is metered by, see `model/metering/meters.ts`. Most executions have none. */
    meters: fact.list(),
  },
  life: {
    situation: fact.word(lettersOf(SITUATIONS)),
    /** What the next claim starts; meaningful while runnable, `first` otherwise. */
    nextAttempt: fact.choice(NEXT_ATTEMPTS),
    /**
     * The time that belongs to the situation: expiry of the lease while active, end of the delay while delayed, time of
     * the purge while terminal (unset when it is kept for good), unset while ready.
     */
    dueAt: fact.optionalNumber(),
    /** Last change of the situation: also the time of completion, of a noticed lapse, of a revocation. */
    lastTransitionAt: fact.number(),
    /** Time of the first claim. */
    startedAt: fact.optionalNumber(),
    /** Attempts so far; the current one has index `totalAttemptCount - 1`. */
    totalAttemptCount: fact.counter(),
  },
  wait: {
    /** End of the delay that its creator, its worker or its policy asked for; kept until it is over. */
    delayUntil: fact.optionalNumber(),
  },
  fence,
  worker: {
    currentWorkerId: fact.ofOwner(fact.optionalText()),
    currentWorkerInstanceId: fact.ofOwner(fact.optionalText()),
  },
  timing: {
    /** When the current attempt times out; set while active, once its handler could begin. */
    attemptTimeoutAt: fact.ofOwner(fact.optionalNumber()),
    /** What is left of the attempt's time while its clock stands (parked, or claimed ahead), ms. */
    attemptTimeoutRemainingMs: fact.optionalNumber(),
    leaseLastRenewedAt: fact.ofOwner(fact.optionalNumber()),
  },
  retries: {
    retryCount: fact.counter(),
    leaseReclaimCount: fact.counter(),
    leaseReleaseCount: fact.counter(),
    failureCategory: fact.optionalText(),
  },
  hold: {
    /** Since when an operator keeps it from being claimed; unset while nobody does (ruling 23). */
    heldAt: fact.optionalNumber(),
    heldBy: fact.optionalText(),
  },
  streams: {
    /** Index of the newest attempt that has a stream. */
    lastStreamIndex: fact.optionalNumber(),
  },
  edits: {
    /** How often it was run again after it had ended. */
    replayCount: fact.counter(),
    /** Last change by an operator or a user that is no transition: of priority, tags, a hold's end. */
    editedAt: fact.optionalNumber(),
  },
  /** Who may take it, and until when; there is one only while nobody else can (spec 05 section 8.1). */
  grant: {
    /** The last millisecond in which it may be taken; unset while there is no grant. */
    grantExpiresAt: fact.optionalNumber(),
    grantId: fact.optionalId(),
    grantWorkerId: fact.optionalText(),
    grantWorkerInstanceId: fact.optionalText(),
    /** Whether no other instance of the worker may take it. */
    grantIsStrict: fact.flag(),
  },
  progress: {
    progressPct: fact.optionalNumber(),
    progressUpdatedAt: fact.optionalNumber(),
  },
  pause: {
    /** Why its worker suspended it last. */
    suspendReason: fact.choice(SUSPEND_REASONS),
  },
  membership: membershipFacet,
  group: groupFacet,
  kept: {
    /** Signals that came while nothing listened to them. */
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
    policy: fact.tree<ExecutionPolicy>(),
    /** Reasons can be empty: whether there was a failure or a cancellation, category and canceller say. */
    failureReason: fact.words(),
    /** Bytes for programs beside the reason, as base64. */
    failureDetail: fact.optionalText(),
    cancellationReason: fact.words(),
    holdReason: fact.words(),
    /** Why it is blocked, in the words of the scheduler; kept while it is. */
    blockingDetail: fact.words(),
    progressMessage: fact.optionalText(),
    leaseRevokeReason: fact.ofOwner(fact.words()),
  },
  beside: {
    /** Recorded steps, and the bytes of their values (ruling 47); the steps themselves are no facts. */
    stepCount: fact.counter(),
    stepBytes: fact.counter(),
    /** What it waits for, and waited for: see `model/suspension/facts.ts`. Nothing when it never did. */
    waiting: fact.tree<Waiting>(),
    /** What it depends on, by edge: see `model/flow/facts.ts`. Nothing when no edge ever led to it. */
    dependencies: fact.tree<Dependencies>(),
  },
});

export type Execution = EntityState<typeof EXECUTION, typeof executionFacts>;

/** The execution as decisions see it. */
export type ReadonlyExecution = Readonly<Execution>;

/** An execution that has an owner, or had one that was lost. */
export type ActiveExecution = ReadonlyExecution & {
  readonly situation: 'running' | 'lease_expired' | 'lease_revoked';
  readonly dueAt: number;
  readonly currentLeaseId: string;
  readonly currentAttemptId: string;
  readonly currentWorkerId: string;
  readonly currentWorkerInstanceId: string;
};

/** What an execution is called, for the events that repeat it. */
export function namesOf({ namespace, laneId, executionKind, creatorIdentity }: ReadonlyExecution) {
  return { namespace, laneId, executionKind, creatorIdentity };
}

/** Of what has none. */
export const NO_TAGS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * What the events that end an execution, and signals, repeat, so that their readers can filter after a purge (ruling 16).
 * The tags that the deployment has indexed are filled in where events are recorded, see `filter-tags.ts`.
 */
export function namingOf({ namespace, laneId, executionKind, creatorIdentity }: ReadonlyExecution) {
  return { namespace, laneId, executionKind, creatorIdentity, filterTags: NO_TAGS };
}
