/** What operators' actions have in common: a reason and a name, stored in the log, and what a replay keeps. */
import { requester } from '../../../model/core/fields.js';
import { LIMITS } from '../../../model/limits.js';
import { checkField, refuse } from '../../shared/checks.js';
import { boundText } from '../../util/text.js';

export interface OperatorOptions {
  /** Default none. Truncated after 4 096 bytes, and marked with "…". */
  readonly reason?: string | undefined;
  /** The requester, such as a person, a script or a service; at most 256 bytes. Default `operator`. */
  readonly requestedBy?: string | undefined;
}

/** What a replay keeps of earlier runs of the handler. */
export interface ReplaySteps {
  /**
   * `keep` (default): the handler finds the steps, waits and stored failures of earlier runs, and the signals that came.
   * `discard`: everything is repeated, and every signal is gone.
   */
  readonly steps?: 'keep' | 'discard' | undefined;
}

/** What becomes of the steps. @throws InvalidDefinitionError */
export function stepsOf(where: string, { steps = 'keep' }: ReplaySteps): 'keep' | 'discard' {
  if (steps !== 'keep' && steps !== 'discard') throw refuse(where, 'steps', '"keep" or "discard"', steps);
  return steps;
}

/** @throws InvalidDefinitionError for a reason or a name that is no text */
export function askedBy(
  where: string,
  { reason = '', requestedBy }: OperatorOptions,
): { reason: string; requestedBy?: string } {
  if (typeof reason !== 'string') throw refuse(where, 'the reason', 'a string', reason);
  checkField(where, 'requestedBy', requester, requestedBy);
  return { reason: boundText(reason, LIMITS.maxReasonBytes), ...(requestedBy === undefined ? {} : { requestedBy }) };
}
