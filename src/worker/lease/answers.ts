/**
 * Classifies the answers to a worker's commands. Every command under a fence can be repeated, so three kinds are
 * enough: it makes no difference whether a fault met the whole call or only this command.
 *
 *     accepted   the engine applied the command, now or in an earlier call
 *     refused    final: repeating the command gives the same answer
 *     unknown    a fault: the command may have been applied, and is repeated until its time is over
 */
import type { EngineError, ErrorCode } from '../../../model/errors.js';
import type { OperationName, OutcomeOf } from '../../../model/machine.js';
import type { CommandResult } from '../../backend/backend.js';
import { isRetryable } from '../../engine/retry.js';
import { asEngineError } from '../../util/engine-error.js';

export type Answer<Name extends OperationName = OperationName> =
  | { readonly kind: 'accepted'; readonly outcome: OutcomeOf<Name> }
  | { readonly kind: 'refused'; readonly error: EngineError }
  | { readonly kind: 'unknown'; readonly error: unknown };

/** Families of errors about the command itself; the others are about the server or the connection. */
const FINAL_FAMILIES: ReadonlySet<string> = new Set([
  'validation',
  'bug',
  'state',
  'contention',
  'conflict',
  'not_found',
]);
/** Other final codes: their cause does not go away while the lease lasts. */
const FINAL_CODES: ReadonlySet<string> = new Set<ErrorCode>(['backend_closed', 'hmac_secret_not_initialized']);

/** Classifies the error of a command, or of a whole call. */
export function answerOfError(error: unknown): Exclude<Answer, { kind: 'accepted' }> {
  const engineError = asEngineError(error);
  if (engineError === undefined || isRetryable(engineError)) return { kind: 'unknown', error };
  const final = FINAL_FAMILIES.has(engineError.family) || FINAL_CODES.has(engineError.code);
  return final ? { kind: 'refused', error: engineError } : { kind: 'unknown', error };
}

/**
 * Whether the call must be repeated, because the server or the connection failed, or because rights are missing for a
 * moment. Such faults never fail a handler: it continues, or loses its lease.
 */
export function isUnanswered(error: unknown): boolean {
  return asEngineError(error) === undefined ? isRetryable(error) : answerOfError(error).kind === 'unknown';
}

/** Classifies the result of a command. A missing result is unknown. */
export function answerOf(result: CommandResult | undefined): Answer {
  if (result === undefined) return { kind: 'unknown', error: new Error('The call was answered without this command.') };
  return result.ok ? { kind: 'accepted', outcome: result.outcome } : answerOfError(result.error);
}
