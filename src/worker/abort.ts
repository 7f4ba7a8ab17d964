import { brand } from '../util/brand.js';

/** Why a handler is aborted. */
export type TaskAbortCode = 'cancelled' | 'lease_lost' | 'lease_revoked' | 'deadline' | 'attempt_timeout' | 'shutdown';

const ABORT_BRAND = 'task_abort';

const SENTENCES: Record<TaskAbortCode, string> = {
  cancelled: 'The execution was cancelled; stop and undo what should not stay.',
  lease_lost: 'The lease ran out, and another worker may own the work now; stop at once, the result would be refused.',
  lease_revoked: 'An operator took the lease away; stop at once, the result would be refused.',
  deadline: 'The deadline of the execution passed; it ends expired.',
  attempt_timeout: 'The attempt ran out of time; the retry policy decides what follows.',
  shutdown: 'The worker shuts down; stop, and the work is handed back to be continued elsewhere.',
};

/** The `signal.reason` of a handler. Once aborted, a handler may throw anything: it does not count as a failure. */
export class TaskAbort extends Error {
  static {
    brand(TaskAbort, ABORT_BRAND);
  }

  override readonly name = 'TaskAbort';

  constructor(
    /** Stable; part of the contract. */
    readonly code: TaskAbortCode,
    /** What is known beyond the code, such as the reason of a cancellation. */
    readonly detail = '',
  ) {
    super(`${code}: ${detail === '' ? '' : `${detail}. `}${SENTENCES[code]}`);
  }
}
