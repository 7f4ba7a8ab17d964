/** A failure as it was stored, in its parts. */
import { partsOfFailure } from '../../util/failure-text.js';

/** What is known about a failure. */
export interface Failure {
  /** The messages of the error and of its causes, joined by ": ". */
  readonly message: string;
  /** What kind of failure it was: `handler_error`, `invalid_input_payload`, `max_reclaims_exceeded`, or the handler's own. */
  readonly category: string;
  /** The class of the error that was thrown; absent when what was thrown is no error, or the engine ended the run. */
  readonly class: string | undefined;
  /** Classes, first frames of the stacks, and inner errors, as text; empty when there are none. */
  readonly details: string;
}

const CLASS = /^[\p{L}_$][\p{L}\p{N}_$.]*/u;

/** The parts of a stored failure. */
export function failureOf(reason: string, category: string): Failure {
  const { summary, details } = partsOfFailure(reason);
  return {
    message: summary,
    category,
    class: CLASS.exec(details)?.[0],
    details,
  };
}
