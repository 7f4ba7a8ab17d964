/** What commands are answered: each for itself, whatever becomes of the others in its call. */
import type { Rejected } from '../../model/core/operation.js';
import { EngineError } from '../../model/errors.js';
import type { OperationName, OutcomeOf } from '../../model/machine.js';

/** The command met a fault, of the server or of the way to it: it may have run, unless the error says that it did not. */
export interface Fault {
  readonly ok: false;
  readonly fault: EngineError;
}

/** The command ran. What it did besides stays in the log of the server. */
export interface Done<Outcome> {
  readonly ok: true;
  readonly outcome: Outcome;
}

export type Answer = Done<OutcomeOf<OperationName>> | Rejected | Fault;

export const faulty = (fault: EngineError): Fault => ({ ok: false, fault });

/** The error that a command's caller gets when it was not accepted. */
export function errorOf(
  answer: Exclude<Answer, { ok: true }>,
  refusalOf: (rejected: Rejected) => EngineError,
): EngineError {
  return 'fault' in answer ? answer.fault : refusalOf(answer);
}

/** The library on the server and this process do not speak of the same arguments. Making the call again changes nothing. */
export function libraryMismatch(label: string): EngineError {
  return new EngineError(
    'library_mismatch',
    `The library on ${label} takes other arguments than this process gives; the command did not run.`,
  );
}
