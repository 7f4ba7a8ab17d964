import { brand } from '../../util/brand.js';

/** Why a handler is aborted. */
export type TaskAbortCode = 'cancelled' | 'lease_lost' | 'lease_revoked' | 'deadline' | 'attempt_timeout' | 'shutdown';

const ABORT_BRAND = 'task_abort';

/** The message of each abort, and the hint for the handler. */
const SENTENCES: Record<TaskAbortCode, readonly [what: string, hint: string]> = {
  cancelled: ['The execution was cancelled.', 'Stop, and undo what should not stay; steps are refused from now on.'],
  lease_lost: [
    'The lease ran out, and another worker may own the work now.',
    'Stop at once: the result would be refused.',
  ],
  lease_revoked: ['An operator took the lease away.', 'Stop at once: the result would be refused.'],
  deadline: ['The deadline of the execution passed.', 'Stop: the run ends expired.'],
  attempt_timeout: ['The attempt ran out of time.', 'Stop: the retry policy decides what follows.'],
  shutdown: ['The worker shuts down.', 'Stop: the work is handed back and continues elsewhere.'],
};

/** Codes after which another attempt, or the same one on another worker, can complete the run. */
const RETRYABLE_CODES: ReadonlySet<TaskAbortCode> = new Set([
  'lease_lost',
  'lease_revoked',
  'attempt_timeout',
  'shutdown',
]);

/**
 * The `signal.reason` of a handler. Once aborted, a handler may throw anything: it does not count as a failure. Once the
 * abort has refused it a step, a wait or children, what it returns is no result either.
 */
export class TaskAbort extends Error {
  static {
    brand(TaskAbort, ABORT_BRAND);
  }

  override readonly name = 'TaskAbort';
  /** What the handler should do. */
  readonly hint: string;
  /** Whether the run can go on: after a lost lease or a shutdown, on another worker. */
  readonly retryable: boolean;

  constructor(
    /** Stable; part of the contract. */
    readonly code: TaskAbortCode,
    /** Details beyond the code, such as the reason of a cancellation. */
    readonly detail = '',
  ) {
    const [what, hint] = SENTENCES[code];
    super(`${code}: ${detail === '' ? '' : `${detail}. `}${what}`);
    this.hint = hint;
    this.retryable = RETRYABLE_CODES.has(code);
  }
}
