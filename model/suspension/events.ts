/** Events of suspensions, waitpoints and signals. None of them carries a token or a secret (ruling 20). */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION, filter, naming } from '../execution/facts.js';
import { signalCarried, signalGiven, suspensionGiven } from './facts.js';

/** The long facts of a suspension. */
const asked = {
  /** A line for each waitpoint: its id and its key. */
  waitpoints: fact.text(),
  /** A line for each node. */
  condition: fact.text(),
  /** Entries that buffered signals added to the progress, a line for each. */
  progress: fact.words(),
  /** A line for each of these signals that was evaluated: its id, and the letter of its effect. */
  folded: fact.words(),
};

/** The idempotency key, none when empty; a digest of the request; until when the key is known. */
const once = { suspendKey: fact.words(), suspendDigest: fact.words(), suspendKeyExpiresAt: fact.optionalNumber() };

export const suspensionEvents = {
  /** The worker suspended its attempt until a condition is satisfied, an operator resumes it, or it times out. */
  execution_suspended: event('execution_suspended', 'X', EXECUTION, {
    suspension: suspensionGiven,
    attempt: { attemptTimeoutRemainingMs: fact.optionalNumber() },
    long: asked,
    once,
  }),
  /** Buffered signals satisfied the condition: the worker continues and keeps its lease. */
  suspension_skipped: event('suspension_skipped', 'js', EXECUTION, { suspension: suspensionGiven, long: asked, once }),
  /** A waitpoint was created for a later suspension; signals to it are buffered. */
  pending_waitpoint_created: event('pending_waitpoint_created', 'j', EXECUTION, {
    waitpoint: { waitpointId: fact.text(), waitpointKey: fact.text(), expiresAt: fact.number() },
  }),
  /** The owner closed the waitpoint unused. */
  pending_waitpoint_closed: event('pending_waitpoint_closed', 'jc', EXECUTION, {
    closing: { waitpointId: fact.text(), closeReason: fact.text() },
  }),
  /** No suspension used it in time. */
  pending_waitpoint_expired: event('pending_waitpoint_expired', 'jx', EXECUTION, {
    target: { waitpointId: fact.text() },
  }),
  /** A signal was accepted; with the entries that it adds to the progress of the condition, a line for each. */
  signal_accepted: event('signal_accepted', 'Z', EXECUTION, {
    target: { signalId: fact.text() },
    signal: signalGiven,
    long: { added: fact.words() },
    carried: signalCarried,
    /** Lets readers of the log filter by execution. */
    naming,
    filter,
  }),
  /** A suspension and its waitpoints were closed. The execution resumes, or the next entry ends it. */
  suspension_closed: event('suspension_closed', 'V', EXECUTION, {
    closing: {
      closeReason: fact.text(),
      resumeTrigger: fact.words(),
      closerSignalId: fact.words(),
      /** The resumed execution cannot be claimed before this time. */
      delayUntil: fact.optionalNumber(),
    },
  }),
  /** The suspension timed out and needs an operator. Signals still resume it. */
  suspension_escalated: event('suspension_escalated', 'T', EXECUTION, {}),
} as const;
