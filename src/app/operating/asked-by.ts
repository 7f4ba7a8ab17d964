/** The reason of an operator's action and the operator's name: both are stored in the log with the action. */
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

/** @throws InvalidDefinitionError for a reason or a name that is no text */
export function askedBy(
  where: string,
  { reason = '', requestedBy }: OperatorOptions,
): { reason: string; requestedBy?: string } {
  if (typeof reason !== 'string') throw refuse(where, 'the reason', 'a string', reason);
  checkField(where, 'requestedBy', requester, requestedBy);
  return { reason: boundText(reason, LIMITS.maxReasonBytes), ...(requestedBy === undefined ? {} : { requestedBy }) };
}
