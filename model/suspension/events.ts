/** What can happen while an execution waits. None of them carries a token or a secret (ruling 20). */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION } from '../execution/facts.js';
import { signalCarried, signalGiven, suspensionGiven } from './facts.js';

export const suspensionEvents = {
  /** The worker let go of its attempt until a condition is satisfied, an operator says so, or time is over. */
  execution_suspended: event('execution_suspended', 'X', EXECUTION, {
    suspension: suspensionGiven,
    attempt: { attemptTimeoutRemainingMs: fact.optionalNumber() },
    /** A line for each waitpoint: its id and its key; and the condition, a line for each node. */
    long: { waitpoints: fact.text(), condition: fact.text() },
  }),
  /** A signal was taken; what it adds to the progress of the condition, a line for each entry. */
  signal_accepted: event('signal_accepted', 'Z', EXECUTION, {
    target: { signalId: fact.text() },
    signal: signalGiven,
    long: { added: fact.words() },
    carried: signalCarried,
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
