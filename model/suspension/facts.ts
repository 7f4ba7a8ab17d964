/**
 * What is stored of the waiting of an execution, beside its record: its last suspension, its waitpoints, its signals.
 * Most executions never wait, and have none of it. All of it goes with the execution when that is purged.
 *
 * A suspension stays readable after it closed, until the next one replaces it; waitpoints and signals stay for good, so
 * that a late or repeated signal is told what became of it. Spec 06 section 1.
 */
import * as fact from '../core/facts.js';

/** Why a worker suspends its execution, and the letter under which that is stored. The first one is the common one. */
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

/** What happens when nothing came in time. `auto_resume` goes on with no signal, the other one with one that says so. */
export const TIMEOUT_BEHAVIORS = {
  fail: 'f',
  cancel: 'c',
  expire: 'e',
  auto_resume: 'r',
  auto_resume_with_timeout_signal: 's',
  escalate: 'o',
} as const;
export type TimeoutBehavior = keyof typeof TIMEOUT_BEHAVIORS;

/** What made an execution go on. */
export const RESUME_TRIGGERS = { signal: 's', operator: 'o', timeout: 't' } as const;

export const WAITPOINT_STATES = {
  /** Of the open suspension: its signals are evaluated. */
  active: 'a',
  closed: 'c',
  /** Made before the suspension that will use it: its signals are kept. */
  pending: 'p',
  /** No suspension used it in time. */
  expired: 'x',
} as const;

/** What a signal did. */
export const SIGNAL_EFFECTS = {
  /** It is not the one that is waited for. */
  no_op: 'n',
  /** No part of the condition takes a signal of this name. */
  signal_ignored_matcher_failed: 'm',
  /** It satisfied nothing that was not satisfied before. */
  appended_to_waitpoint_duplicate: 'd',
  /** It satisfied a part of the condition. */
  appended_to_waitpoint: 'a',
  /** It satisfied the condition: the execution goes on. */
  resume_condition_satisfied: 's',
  /** It is kept for the suspension that will use its waitpoint. */
  buffered_for_pending_waitpoint: 'b',
  /** Nothing listens to it yet: it is kept for a wait to come. */
  kept_for_a_wait: 'k',
} as const;
export type SignalEffect = keyof typeof SIGNAL_EFFECTS;

/** What a suspension is made with; repeated by its event. */
export const suspensionGiven = {
  suspensionId: fact.text(),
  /** Of the attempt that waits. */
  attemptIndex: fact.counter(),
  reasonCode: fact.choice(SUSPEND_REASONS),
  suspendedBy: fact.choice(SUSPEND_REQUESTERS),
  timeoutAt: fact.optionalNumber(),
  timeoutBehavior: fact.choice(TIMEOUT_BEHAVIORS),
  /** How long what was resumed waits before it can be claimed, ms. */
  resumeDelayMs: fact.counter(),
  /** Signals that satisfied it do not count as consumed. */
  keepsSignals: fact.flag(),
  /** What its caller asked for; nothing follows from it, since every resumption closes its waitpoints. */
  retainsBuffer: fact.flag(),
  /** The caller's word for where it goes on; none when empty. */
  continuationPointer: fact.words(),
};

/** What a signal is; repeated by its event. */
export const signalGiven = {
  /** None of a signal that was kept for its name. */
  waitpointId: fact.words(),
  signalName: fact.text(),
  signalCategory: fact.text(),
  sourceType: fact.text(),
  sourceIdentity: fact.words(),
  /** The sender's own name for it, and until when that is known. */
  signalKey: fact.words(),
  signalKeyExpiresAt: fact.optionalNumber(),
  effect: fact.choice(SIGNAL_EFFECTS),
};

/** What a signal was sent to: a waitpoint by its token, or an execution by an operator. */
export const SIGNAL_SCOPES = { waitpoint: 'w', execution: 'e' } as const;

/** What a signal brings with it; repeated by its event, which does not carry the payload itself. */
export const signalCarried = {
  /** The sender's word for what it belongs to. */
  correlationId: fact.words(),
  /** Size of the payload, bytes; none when 0. */
  payloadBytes: fact.counter(),
  payloadEncoding: fact.optionalText(),
  targetScope: fact.choice(SIGNAL_SCOPES),
  /** When its sender says that it was made; when it was accepted, if the sender says nothing. */
  createdAt: fact.optionalNumber(),
};

/** What a signal brings that brings nothing. */
export const NOTHING_CARRIED = {
  correlationId: '',
  payloadBytes: 0,
  payloadEncoding: undefined,
  targetScope: 'waitpoint',
  createdAt: undefined,
} as const;

/** The stored texts, by what they are of. A waitpoint and a signal have one each. */
export const waitsFacts = {
  suspension: { ...suspensionGiven, suspendedAt: fact.number() },
  /** Absent while the suspension is open. */
  closing: {
    closedAt: fact.number(),
    closeReason: fact.text(),
    /** Absent when the execution did not go on. */
    resumeTrigger: fact.words(),
    closerSignalId: fact.words(),
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
    /** Until when a suspension can use it; only of one that was made before its suspension. */
    expiresAt: fact.optionalNumber(),
    /** When a suspension came to use such a one. */
    activatedAt: fact.optionalNumber(),
    /** Its suspension does not consume the signals that satisfy it. */
    keepsSignals: fact.flag(),
  },
  /** `place`: its number among the signals of the execution, from 1. */
  signal: { ...signalGiven, acceptedAt: fact.number(), place: fact.number(), ...signalCarried },
  /** What a suspension answered whose caller gave it a name. */
  suspendKey: {
    /** Of what its caller asked for. */
    digest: fact.text(),
    suspensionId: fact.text(),
    /** Until when the name is known. */
    keyExpiresAt: fact.number(),
    /** Signals were there already: nothing was suspended. */
    isSkipped: fact.flag(),
    /** In the order in which they were given. */
    waitpointIds: fact.list(),
  },
} as const;

export type SuspensionFacts = fact.StateOf<{ readonly suspension: typeof waitsFacts.suspension }>;
export type ClosingFacts = fact.StateOf<{ readonly closing: typeof waitsFacts.closing }>;
export type Waitpoint = fact.StateOf<{ readonly waitpoint: typeof waitsFacts.waitpoint }>;
export type SuspendKey = fact.StateOf<{ readonly suspendKey: typeof waitsFacts.suspendKey }>;
export type Signal = fact.StateOf<{ readonly signal: typeof waitsFacts.signal }>;

export interface Suspension extends SuspensionFacts {
  /** In the order in which they were given; the first is the primary one. */
  waitpointIds: string[];
  /** As it is walked, see `condition.ts`. */
  condition: string;
  /** What satisfied which part of the condition, in order. */
  progress: string[];
  /** Signals that satisfied something, in the order of their acceptance. */
  satisfierSignalIds: string[];
  closing: ClosingFacts | undefined;
}

export interface Waiting {
  suspension: Suspension | undefined;
  waitpoints: Record<string, Waitpoint>;
  /** How many there ever were. */
  waitpointCount: number;
  /** Those that wait for a suspension to use them, oldest first. */
  pendingIds: string[];
  signals: Record<string, Signal>;
  /** The last signal of a sender's key, by `signalKeyOf`. */
  signalKeys: Record<string, string>;
  /** By the name that the caller of a suspension gave it. */
  suspendKeys: Record<string, SuspendKey>;
  signalCount: number;
  /** Of all payloads together. */
  payloadBytes: number;
}

/** Effects of signals that a condition took, and of those that added to it. */
export const SATISFYING: ReadonlySet<SignalEffect> = new Set(['appended_to_waitpoint', 'resume_condition_satisfied']);
export const MATCHING: ReadonlySet<SignalEffect> = new Set([...SATISFYING, 'appended_to_waitpoint_duplicate']);

/** The signal that stands for the time that is over, and that is observed in the place of one. */
export const TIMEOUT_SIGNAL = '__timeout__';

/** Why a waitpoint is closed whose execution went on. */
const WENT_ON: ReadonlySet<string | undefined> = new Set(['resumed', 'timed_out_auto_resume']);

/**
 * When a signal was consumed: when the suspension of its waitpoint went on, if that consumes what satisfied it (spec 06
 * section 12). It follows from what is stored of both, so it is not stored again.
 */
export function consumedAt({ effect, signalName }: Signal, waitpoint: Waitpoint | undefined): number | undefined {
  if (waitpoint === undefined || waitpoint.keepsSignals || !WENT_ON.has(waitpoint.closeReason)) return undefined;
  return SATISFYING.has(effect) || signalName === TIMEOUT_SIGNAL ? waitpoint.closedAt : undefined;
}

/** A sender's key belongs to a waitpoint. */
export const signalKeyOf = (waitpointId: string, signalKey: string): string => `${waitpointId}:${signalKey}`;
