/**
 * What the answer to a command of a worker means. Everything that a worker asks for under a fence can be repeated, so
 * there are three kinds of answers and no fourth: whether a fault met the whole call or this command alone makes no
 * difference.
 *
 *     accepted   the engine did it, now or when it was asked before
 *     refused    the engine's word on this command; repeating it gives the same
 *     unknown    a fault: it may have been done or not, and is asked again until its time is over
 */
import type { EngineError, ErrorCode } from '../../model/errors.js';
import type { OperationName, OutcomeOf } from '../../model/machine.js';
import type { CommandResult } from '../backend.js';
import { isRetryable } from '../engine/retry.js';
import { asEngineError } from '../util/engine-error.js';

export type Answer<Name extends OperationName = OperationName> =
  | { readonly kind: 'accepted'; readonly outcome: OutcomeOf<Name> }
  | { readonly kind: 'refused'; readonly error: EngineError }
  | { readonly kind: 'unknown'; readonly error: unknown };

/** Families whose errors are the engine's word on the command; the others speak of the server or of the way to it. */
const FINAL_FAMILIES: ReadonlySet<string> = new Set([
  'validation',
  'bug',
  'state',
  'contention',
  'conflict',
  'not_found',
]);
/** Codes that are final too: nothing that happens on the server while the lease holds changes them. */
const FINAL_CODES: ReadonlySet<string> = new Set<ErrorCode>(['backend_closed', 'hmac_secret_not_initialized']);

/** What an error says, whether it is the answer to one command or that of a whole call. */
export function answerOfError(error: unknown): Exclude<Answer, { kind: 'accepted' }> {
  const engineError = asEngineError(error);
  if (engineError === undefined || isRetryable(engineError)) return { kind: 'unknown', error };
  const final = FINAL_FAMILIES.has(engineError.family) || FINAL_CODES.has(engineError.code);
  return final ? { kind: 'refused', error: engineError } : { kind: 'unknown', error };
}

/**
 * Whether the call was not answered, and is to be made again: a fault of the server or of the way to it, such as rights
 * that are missing for a moment. A handler never fails of one; it goes on, or loses its lease.
 */
export function isUnanswered(error: unknown): boolean {
  return asEngineError(error) === undefined ? isRetryable(error) : answerOfError(error).kind === 'unknown';
}

/** What the answer to one command says; one that is missing says nothing. */
export function answerOf(result: CommandResult | undefined): Answer {
  if (result === undefined) return { kind: 'unknown', error: new Error('The call was answered without this command.') };
  return result.ok ? { kind: 'accepted', outcome: result.outcome } : answerOfError(result.error);
}
