/** Errors of children. They are not retried, because another attempt would find the same outcome. */
import type { PublicState } from '../../../model/execution/situation.js';
import { share } from '../../util/brand.js';
import { NonRetryableError } from '../handler/outcome.js';

/** A child that did not complete. */
export interface FailedChild {
  /** Its index in the list. */
  readonly index: number;
  /** Its execution id: `app.get(id)` gives the run. */
  readonly id: string;
  readonly task: string;
  /** `failed`, `cancelled`, `expired` or `skipped`; its current state if it was replayed since. */
  readonly state: PublicState;
  /** Its error message, or the reason of its cancellation; empty if unknown. */
  readonly message: string;
  /** The category of its failure. */
  readonly category: string | undefined;
}

/** Too many children did not complete. If not caught, the run fails with the category `children_failed`. */
export class ChildrenFailedError extends NonRetryableError {
  override readonly name = 'ChildrenFailedError';
  override readonly hint =
    'Fix what `failed` names, replay those children, then the run; or catch it where fewer are enough.';

  constructor(
    /** The `name` of the call. */
    readonly children: string,
    /** How many children there were. */
    readonly of: number,
    /** The children that decided it, in the order of the list. */
    readonly failed: readonly FailedChild[],
  ) {
    super(`${failed.length} of ${of} in children "${children}" did not complete: ${failed.map(describe).join('; ')}`, {
      category: 'children_failed',
    });
  }
}

share({ ChildrenFailedError });

const describe = ({ index, task, state, message }: FailedChild): string =>
  `child ${index + 1} (task "${task}") ${state}${message === '' ? '' : `: ${message}`}`;
