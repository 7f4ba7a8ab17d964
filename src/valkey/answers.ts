/** What commands are answered: each for itself, whatever becomes of the others in its call. */
import type { Accepted, Rejected } from '../../model/core/operation.js';
import type { EngineError } from '../../model/errors.js';
import type { OperationName, OutcomeOf } from '../../model/machine.js';

/** The command met a fault, of the server or of the way to it: it may have run, unless the error says that it did not. */
export interface Fault {
  readonly ok: false;
  readonly fault: EngineError;
}

export type Answer = Accepted<OutcomeOf<OperationName>> | Rejected | Fault;

export const faulty = (fault: EngineError): Fault => ({ ok: false, fault });

/** The error that a command's caller gets when it was not accepted. */
export function errorOf(
  answer: Exclude<Answer, { ok: true }>,
  refusalOf: (rejected: Rejected) => EngineError,
): EngineError {
  return 'fault' in answer ? answer.fault : refusalOf(answer);
}
