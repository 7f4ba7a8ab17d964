/** What can happen while an execution waits. None of them carries a token or a secret (ruling 20). */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION, filter, naming } from '../execution/facts.js';
import { signalCarried, signalGiven, suspensionGiven } from './facts.js';

/** What a suspension is made of. */
const asked = {
  /** A line for each waitpoint: its id and its key. */
  waitpoints: fact.text(),
  /** A line for each node. */
  condition: fact.text(),
  /** What signals that were kept added to the progress, a line for each entry. */
  progress: fact.words(),
  /** A line for each of these signals that was looked at: its id, and the letter of its effect. */
  folded: fact.words(),
};

/** The name that its caller gave it, none when empty; what was asked for, as a digest; until when the name is known. */
const once = { suspendKey: fact.words(), suspendDigest: fact.words(), suspendKeyExpiresAt: fact.optionalNumber() };

export const suspensionEvents = {
  /** The worker let go of its attempt until a condition is satisfied, an operator says so, or time is over. */
  execution_suspended: event('execution_suspended', 'X', EXECUTION, {
    suspension: suspensionGiven,
    attempt: { attemptTimeoutRemainingMs: fact.optionalNumber() },
    long: asked,
    once,
  }),
  /** Signals that were kept satisfied the condition: the worker goes on without letting go. */
  suspension_skipped: event('suspension_skipped', 'js', EXECUTION, { suspension: suspensionGiven, long: asked, once }),
  /** A waitpoint was made for a suspension to come; signals to it are kept. */
  pending_waitpoint_created: event('pending_waitpoint_created', 'j', EXECUTION, {
    waitpoint: { waitpointId: fact.text(), waitpointKey: fact.text(), expiresAt: fact.number() },
  }),
  /** Its maker does not need it. */
  pending_waitpoint_closed: event('pending_waitpoint_closed', 'jc', EXECUTION, {
    closing: { waitpointId: fact.text(), closeReason: fact.text() },
  }),
  /** No suspension used it in time. */
  pending_waitpoint_expired: event('pending_waitpoint_expired', 'jx', EXECUTION, {
    target: { waitpointId: fact.text() },
  }),
  /** A signal was taken; what it adds to the progress of the condition, a line for each entry. */
  signal_accepted: event('signal_accepted', 'Z', EXECUTION, {
    target: { signalId: fact.text() },
    signal: signalGiven,
    long: { added: fact.words() },
    carried: signalCarried,
    /** So that its readers can filter by the work that it is for. */
    naming,
    filter,
  }),
  /** A suspension is over, and all of its waitpoints. The execution goes on, or is ended by the entry behind this one. */
  suspension_closed: event('suspension_closed', 'V', EXECUTION, {
    closing: {
      closeReason: fact.text(),
      resumeTrigger: fact.words(),
      closerSignalId: fact.words(),
      /** Until when what goes on cannot be claimed yet. */
      delayUntil: fact.optionalNumber(),
    },
  }),
  /** Nothing came in time: an operator has to look at it. Signals still resume it. */
  suspension_escalated: event('suspension_escalated', 'T', EXECUTION, {}),
} as const;
