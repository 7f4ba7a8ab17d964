/**
 * The attempts that a worker has in hand: waiting for a slot, running, or reported and not settled. Mostly one per
 * execution; there are two when the worker lost an execution and claimed it again while the first handler still runs.
 */
import type { Attempt } from './attempt.js';

const NONE: readonly Attempt[] = [];

/** The attempts of one execution. Emptied on removal, because a map can retain removed values (see util/bag.ts). */
interface Holder {
  attempts: readonly Attempt[];
}

export class AttemptsInHand {
  private readonly byExecution = new Map<string, Holder>();

  /** Executions in hand. */
  get size(): number {
    return this.byExecution.size;
  }

  add(attempt: Attempt): void {
    const holder = this.byExecution.get(attempt.executionId);
    if (holder === undefined) this.byExecution.set(attempt.executionId, { attempts: [attempt] });
    else holder.attempts = [...holder.attempts, attempt];
  }

  remove(attempt: Attempt): void {
    const holder = this.byExecution.get(attempt.executionId);
    if (holder === undefined) return;
    holder.attempts = holder.attempts.filter((each) => each !== attempt);
    if (holder.attempts.length === 0) this.byExecution.delete(attempt.executionId);
  }

  /** The ids of the executions in hand. */
  ids(): Iterable<string> {
    return this.byExecution.keys();
  }

  /** The attempts of an execution, oldest first. */
  of(executionId: string): readonly Attempt[] {
    return this.byExecution.get(executionId)?.attempts ?? NONE;
  }
}
