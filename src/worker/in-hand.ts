/**
 * The attempts that a worker has in hand and that have not settled: waiting, running, or reported. Mostly one per
 * execution. Work that was taken away and comes back to the same worker is there twice, as long as the handler of the
 * attempt that lost it has not returned.
 */
import type { Attempt } from './attempt.js';

const NONE: readonly Attempt[] = [];

export class AttemptsInHand {
  private readonly byExecution = new Map<string, readonly Attempt[]>();

  /** Executions in hand. */
  get size(): number {
    return this.byExecution.size;
  }

  add(attempt: Attempt): void {
    const others = this.byExecution.get(attempt.executionId);
    this.byExecution.set(attempt.executionId, others === undefined ? [attempt] : [...others, attempt]);
  }

  remove(attempt: Attempt): void {
    const others = this.of(attempt.executionId).filter((each) => each !== attempt);
    if (others.length === 0) this.byExecution.delete(attempt.executionId);
    else this.byExecution.set(attempt.executionId, others);
  }

  /** The attempts of an execution, oldest first. */
  of(executionId: string): readonly Attempt[] {
    return this.byExecution.get(executionId) ?? NONE;
  }
}
