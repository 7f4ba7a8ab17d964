/** Answers to commands, each independent of the other commands in its call. */
import type { Rejected } from '../../../model/operation.js';
import { EngineError } from '../../../model/errors.js';
import type { OperationName, OutcomeOf } from '../../../model/machine.js';

/** A fault of the server or the connection: the command may have run, unless the error says that it did not. */
export interface Fault {
  readonly ok: false;
  readonly fault: EngineError;
}

/** The command ran. Its events are only in the log on the server. */
export interface Done<Outcome> {
  readonly ok: true;
  readonly outcome: Outcome;
}

export type Answer = Done<OutcomeOf<OperationName>> | Rejected | Fault;

export const faulty = (fault: EngineError): Fault => ({ ok: false, fault });

/** The error for the caller of a command that was not accepted. */
export function errorOf(
  answer: Exclude<Answer, { ok: true }>,
  refusalOf: (rejected: Rejected) => EngineError,
): EngineError {
  return 'fault' in answer ? answer.fault : refusalOf(answer);
}

/** The library on the server and this process differ in the form of the arguments. A retry does not help. */
export function libraryMismatch(label: string): EngineError {
  return new EngineError(
    'library_mismatch',
    `The library on ${label} takes other arguments than this process gives; the command did not run.`,
  );
}
