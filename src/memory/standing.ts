/** The entries that an execution has in the indexes of its partition. */
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isQueued, isTerminal } from '../../model/execution/situation.js';
import { queueScore } from '../../model/schedule/queue.js';
import { nextTimerAt } from '../../model/schedule/timers.js';
import { suspendedUntil } from '../../model/suspension/listings.js';

/** Stands for no entry; no score and no time is infinite. */
export const NONE = Number.POSITIVE_INFINITY;

/** The index entries of an execution, derived from its state; reused for every event. */
export class Standing {
  queueScore = NONE;
  timerAt = NONE;
  purgeAt = NONE;
  suspendedUntil = NONE;
  ended = false;

  read(execution: ReadonlyExecution | undefined): void {
    this.queueScore = NONE;
    this.timerAt = NONE;
    this.purgeAt = NONE;
    this.suspendedUntil = NONE;
    this.ended = false;
    if (execution === undefined) return;
    if (isTerminal(execution.situation)) {
      // Members of a flow are purged with the flow.
      this.purgeAt = execution.flow === undefined ? (execution.dueAt ?? NONE) : NONE;
      this.ended = true;
      return;
    }
    if (isQueued(execution)) this.queueScore = queueScore(execution);
    else if (execution.situation === 'suspended') this.suspendedUntil = suspendedUntil(execution);
    this.timerAt = nextTimerAt(execution) ?? NONE;
  }
}
