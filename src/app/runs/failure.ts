/** A failure as it was stored, in its parts. */
import { partsOfFailure } from '../../util/failure-text.js';

/** A stored failure. */
export interface Failure {
  /** The messages of the error and of its causes, joined by ": ". */
  readonly message: string;
  /**
   * The kind of failure: `handler_error`, `invalid_input_payload`, `max_reclaims_exceeded`, or one that the handler
   * chose.
   */
  readonly category: string;
  /**
   * The class of the error that was thrown; absent if something other than an error was thrown, or the engine ended the
   * run.
   */
  readonly class: string | undefined;
  /** Error classes, top stack frames and inner errors as text; empty if there are none. */
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
