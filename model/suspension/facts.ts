/**
 * Stored beside the record of an execution: its last suspension, its waitpoints, its signals. Most executions have none
 * of these. They are purged with the execution.
 *
 * A suspension stays readable after it is closed, until the next one replaces it. Waitpoints and signals are never
 * removed, so the sender of a late or repeated signal learns what became of it. Spec 06 section 1.
 */
import * as fact from '../core/facts.js';

/** Reasons of a suspension and their stored letters. The first is the most common. */
export const SUSPEND_REASONS = {
  waiting_for_signal: 's',
  waiting_for_approval: 'a',
  waiting_for_callback: 'c',
  waiting_for_tool_result: 't',
  waiting_for_operator_review: 'o',
  manual_pause: 'm',
  paused_by_policy: 'p',
  paused_by_budget: 'b',
  step_boundary: 'x',
} as const;
export type SuspendReason = keyof typeof SUSPEND_REASONS;

export const SUSPEND_REQUESTERS = { worker: 'w', operator: 'o', policy: 'p', system_timeout_policy: 's' } as const;

/** The effect of a timeout. `auto_resume` resumes without a signal, `auto_resume_with_timeout_signal` with one. */
export const TIMEOUT_BEHAVIORS = {
  fail: 'f',
  cancel: 'c',
  expire: 'e',
  auto_resume: 'r',
  auto_resume_with_timeout_signal: 's',
  escalate: 'o',
} as const;
export type TimeoutBehavior = keyof typeof TIMEOUT_BEHAVIORS;

/** What resumed an execution. */
export const RESUME_TRIGGERS = { signal: 's', operator: 'o', timeout: 't', children: 'c' } as const;

export const WAITPOINT_STATES = {
  /** Belongs to the open suspension: its signals are evaluated. */
  active: 'a',
  closed: 'c',
  /** Created before the suspension that will use it: its signals are buffered. */
  pending: 'p',
  /** No suspension used it in time. */
  expired: 'x',
} as const;

/** The effect of a signal. */
export const SIGNAL_EFFECTS = {
  /** The condition does not wait for it. */
  no_op: 'n',
  /** No part of the condition accepts a signal of this name. */
  signal_ignored_matcher_failed: 'm',
  /** It only satisfied parts that were satisfied before. */
  appended_to_waitpoint_duplicate: 'd',
  /** It satisfied a part of the condition. */
  appended_to_waitpoint: 'a',
  /** It satisfied the condition: the execution resumes. */
  resume_condition_satisfied: 's',
  /** It is buffered for the suspension that will use its waitpoint. */
  buffered_for_pending_waitpoint: 'b',
  /** No waitpoint receives its name yet: it is kept for a later wait. */
  kept_for_a_wait: 'k',
} as const;
export type SignalEffect = keyof typeof SIGNAL_EFFECTS;

/** Facts of a suspension from its creation; repeated in its event. */
export const suspensionGiven = {
  suspensionId: fact.text(),
  /** The suspended attempt. */
  attemptIndex: fact.counter(),
  reasonCode: fact.choice(SUSPEND_REASONS),
  suspendedBy: fact.choice(SUSPEND_REQUESTERS),
  timeoutAt: fact.optionalNumber(),
  timeoutBehavior: fact.choice(TIMEOUT_BEHAVIORS),
  /** Delay of a resumed execution before it can be claimed, ms. */
  resumeDelayMs: fact.counter(),
  /** Signals that satisfied it are not marked as consumed. */
  keepsSignals: fact.flag(),
  /** As the caller requested; without effect, because every resumption closes the waitpoints. */
  retainsBuffer: fact.flag(),
  /** The caller's label of the continuation; none when empty. */
  continuationPointer: fact.words(),
  /**
   * The execution also resumes once so many ends of its children were recorded (`endedChildren`), or when a child ends
   * without completing; 0: children do not resume it.
   */
  awaitedChildren: fact.counter(),
};

/** Identity of a signal; repeated in its event. */
export const signalGiven = {
  /** Empty for a signal that was kept for its name. */
  waitpointId: fact.words(),
  signalName: fact.text(),
  signalCategory: fact.text(),
  sourceType: fact.text(),
  sourceIdentity: fact.words(),
  /** The sender's idempotency key, and until when it is known. */
  signalKey: fact.words(),
  signalKeyExpiresAt: fact.optionalNumber(),
  effect: fact.choice(SIGNAL_EFFECTS),
};

/** The target of a signal: a waitpoint by its token, or an execution by an operator. */
export const SIGNAL_SCOPES = { waitpoint: 'w', execution: 'e' } as const;

/** The optional parts of a signal; repeated in its event, which does not carry the payload itself. */
export const signalCarried = {
  /** The sender's label of the subject. */
  correlationId: fact.words(),
  /** Size of the payload, bytes; 0: no payload. */
  payloadBytes: fact.counter(),
  payloadEncoding: fact.optionalText(),
  targetScope: fact.choice(SIGNAL_SCOPES),
  /** Time of creation according to the sender. Default: the time of acceptance. */
  createdAt: fact.optionalNumber(),
};

/** The optional parts of a signal that has none. */
export const NOTHING_CARRIED = {
  correlationId: '',
  payloadBytes: 0,
  payloadEncoding: undefined,
  targetScope: 'waitpoint',
  createdAt: undefined,
} as const;

/** The facets of the stored texts. Each waitpoint and each signal has one text. */
export const waitsFacts = {
  suspension: { ...suspensionGiven, suspendedAt: fact.number() },
  /** Absent while the suspension is open. */
  closing: {
    closedAt: fact.number(),
    closeReason: fact.text(),
    /** Absent when the execution did not resume. */
    resumeTrigger: fact.words(),
    closerSignalId: fact.words(),
    /** The epoch of the owner that kept its lease, because buffered signals satisfied the condition. */
    keptEpoch: fact.optionalNumber(),
  },
  waitpoint: {
    waitpointKey: fact.text(),
    waitpointState: fact.choice(WAITPOINT_STATES),
    createdAt: fact.number(),
    closedAt: fact.optionalNumber(),
    closeReason: fact.optionalText(),
    signalCount: fact.counter(),
    matchedSignalCount: fact.counter(),
    lastSignalAt: fact.optionalNumber(),
    /** A suspension can use it until then; only for waitpoints that were created before their suspension. */
    expiresAt: fact.optionalNumber(),
    /** When a suspension used such a waitpoint. */
    activatedAt: fact.optionalNumber(),
    /** Its suspension does not mark the signals that satisfy it as consumed. */
    keepsSignals: fact.flag(),
  },
  signal: {
    ...signalGiven,
    acceptedAt: fact.number(),
    /** Its number among the signals of the execution, from 1. */
    place: fact.number(),
    ...signalCarried,
    /** How many ends of children of the execution were recorded before it: their order within a millisecond. */
    endedChildren: fact.counter(),
  },
  /** The answer to a suspension with an idempotency key. */
  suspendKey: {
    /** Digest of the request. */
    digest: fact.text(),
    suspensionId: fact.text(),
    /** Until when the key is known. */
    keyExpiresAt: fact.number(),
    /** Buffered signals satisfied the condition at once: nothing was suspended. */
    isSkipped: fact.flag(),
    /** In the order of the request. */
    waitpointIds: fact.list(),
  },
} as const;

export type SuspensionFacts = fact.StateOf<{ readonly suspension: typeof waitsFacts.suspension }>;
export type ClosingFacts = fact.StateOf<{ readonly closing: typeof waitsFacts.closing }>;
export type Waitpoint = fact.StateOf<{ readonly waitpoint: typeof waitsFacts.waitpoint }>;
export type SuspendKey = fact.StateOf<{ readonly suspendKey: typeof waitsFacts.suspendKey }>;
export type Signal = fact.StateOf<{ readonly signal: typeof waitsFacts.signal }>;

export interface Suspension extends SuspensionFacts {
  /** In the order of the request; the first is the primary one. */
  waitpointIds: string[];
  /** Compiled, see `condition.ts`. */
  condition: string;
  /** Satisfiers of the parts of the condition, in order. */
  progress: string[];
  /** Signals that satisfied a part, in the order of their acceptance. */
  satisfierSignalIds: string[];
  closing: ClosingFacts | undefined;
}

export interface Waiting {
  suspension: Suspension | undefined;
  waitpoints: Record<string, Waitpoint>;
  /** Number of waitpoints ever created. */
  waitpointCount: number;
  /** Unused waitpoints, oldest first. */
  pendingIds: string[];
  signals: Record<string, Signal>;
  /** The last signal with an idempotency key, by `signalKeyOf`. */
  signalKeys: Record<string, string>;
  /** By the idempotency key of the suspension, a text of the caller: see `ownMember`. */
  suspendKeys: Record<string, SuspendKey>;
  signalCount: number;
  /** Total bytes of all payloads. */
  payloadBytes: number;
}

/** Effects of signals that satisfied a part; then those of all signals that a condition accepted. */
export const SATISFYING: ReadonlySet<SignalEffect> = new Set(['appended_to_waitpoint', 'resume_condition_satisfied']);
export const MATCHING: ReadonlySet<SignalEffect> = new Set([...SATISFYING, 'appended_to_waitpoint_duplicate']);

/** The signal that represents a timeout; handlers observe it like any other signal. */
export const TIMEOUT_SIGNAL = '__timeout__';

/** The close reason of waitpoints whose execution was resumed by its children. */
export const CHILDREN_ENDED = 'children_ended';

/** Close reasons of waitpoints whose execution resumed. */
const RESUMED_REASONS: ReadonlySet<string | undefined> = new Set(['resumed', 'timed_out_auto_resume', CHILDREN_ENDED]);

/**
 * When a signal was consumed: at the resumption of its waitpoint's suspension, if that consumes signals (spec 06
 * section 12). Derived from the stored facts of both, so it is not stored.
 */
export function consumedAt({ effect, signalName }: Signal, waitpoint: Waitpoint | undefined): number | undefined {
  if (waitpoint === undefined || waitpoint.keepsSignals || !RESUMED_REASONS.has(waitpoint.closeReason))
    return undefined;
  return SATISFYING.has(effect) || signalName === TIMEOUT_SIGNAL ? waitpoint.closedAt : undefined;
}

/** Idempotency keys of signals are scoped to a waitpoint. */
export const signalKeyOf = (waitpointId: string, signalKey: string): string => `${waitpointId}:${signalKey}`;
