/** Faults of a call between a process and its server, and of wakes on their way back. */
import { EngineError } from '../../engine/index.js';

export type Fault =
  /** The connection fails before the call leaves: it never runs. */
  | { readonly kind: 'not_sent' }
  /** The call runs, and the connection fails before its answer is there. */
  | { readonly kind: 'answer_lost' }
  /** The call never arrives, and the process waits for its answer until the timeout. */
  | { readonly kind: 'never_arrives' }
  /** The call runs, and its answer never arrives. */
  | { readonly kind: 'never_answered' }
  /** The call runs so long after the process has given it up. */
  | { readonly kind: 'arrives_late'; readonly byMs: number }
  /** The process stands still before the call leaves, which it does this much later. */
  | { readonly kind: 'held'; readonly byMs: number }
  /** Both ways take this much longer. */
  | { readonly kind: 'slow'; readonly byMs: number }
  /** Of the commands sent together, one is answered with a temporary fault, whether or not it ran. */
  | { readonly kind: 'one_faulty'; readonly position: number; readonly ran: boolean };

/** The error of a call that nothing answered in its time. */
export const unanswered = (): EngineError => new EngineError('call_timeout', 'Simulated: no answer in time.');

/** The error of a call or a subscription that the connection lost. */
export const broken = (): EngineError => new EngineError('transport_failed', 'Simulated: the connection failed.');

export type WakeFault =
  | { readonly kind: 'lost' }
  | { readonly kind: 'twice' }
  | { readonly kind: 'late'; readonly byMs: number };
