/**
 * The attempts that a worker has in hand and that have not settled: waiting, running, or reported. Mostly one per
 * execution. Work that was taken away and comes back to the same worker is there twice, as long as the handler of the
 * attempt that lost it has not returned.
 */
import type { Attempt } from './attempt.js';

const NONE: readonly Attempt[] = [];

/** The attempts of one execution. Emptied when it leaves: tables that the map has outgrown keep it (see util/bag.ts). */
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

  /** The attempts of an execution, oldest first. */
  of(executionId: string): readonly Attempt[] {
    return this.byExecution.get(executionId)?.attempts ?? NONE;
  }
}
