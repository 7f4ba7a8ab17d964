/**
 * Starts attempt timeouts. Work that was claimed ahead waits inside the worker, as does work whose input, or whose results
 * of upstreams, were too long for its claim. That time must not count against its attempt timeout: such a claim does not
 * start the timeout, and `beginAttempt` starts it once the handler can be called. Begins in one turn of the event loop
 * share a call for each partition. A handler that has ended by then needs no begin, so short tasks cost nothing.
 */
import { present } from '../../../model/core/present.js';
import type { Command } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import { afterAndIo, afterIo, type Clock } from '../../engine/clock.js';
import { retryDelayMs } from '../../engine/retry.js';
import { groupBy } from '../../util/group-by.js';
import { propertyOf } from '../../util/thrown.js';
import { answerOf, answerOfError, type Answer } from '../lease/answers.js';
import type { Attempt } from '../attempt/attempt.js';

export interface BeginnerOptions {
  readonly backend: Pick<Backend, 'execute'>;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}

const BEGINS_PER_CALL = 500;

export class Beginner {
  private called: Attempt[] = [];

  constructor(private readonly options: BeginnerOptions) {}

  /** Call this when the handler of an attempt whose claim did not start its timeout can be called. */
  begin(attempt: Attempt): void {
    this.called.push(attempt);
    if (this.called.length === 1) afterIo(this.options.clock, () => this.flush());
  }

  private flush(): void {
    const running = this.called.filter(({ isLive }) => isLive);
    this.called = [];
    for (const attempts of groupBy(running, ({ partition }) => partition).values()) {
      for (let from = 0; from < attempts.length; from += BEGINS_PER_CALL)
        void this.send(attempts.slice(from, from + BEGINS_PER_CALL));
    }
  }

  /** Repeats the begins until each is answered or its attempt has ended. Never rejects. */
  private async send(attempts: readonly Attempt[]): Promise<void> {
    const { clock, onError } = this.options;
    let pending = attempts;
    for (let failures = 1; pending.length > 0; failures++) {
      const answers = await this.ask(pending);
      const faults = answers.filter((answer) => answer.kind === 'unknown');
      pending.forEach((attempt, index) => this.take(attempt, present(answers[index])));
      if (faults[0] === undefined) return;
      onError(faults[0].error);
      pending = pending.filter((_, index) => answers[index]?.kind === 'unknown');
      await new Promise<void>((resolve) => afterAndIo(clock, retryDelayMs(clock, failures), resolve));
      pending = pending.filter(({ isLive }) => isLive);
    }
  }

  private take(attempt: Attempt, answer: Answer): void {
    if (answer.kind === 'accepted') {
      const endsAt = propertyOf(answer.outcome, 'attemptTimeoutAt');
      if (typeof endsAt === 'number') attempt.endAt(endsAt);
    } else if (answer.kind === 'refused') {
      // If the refusal is not about ownership, the attempt runs without a timeout; its deadline still applies.
      attempt.refused(answer.error);
    }
  }

  private async ask(attempts: readonly Attempt[]): Promise<Answer[]> {
    const commands = attempts.map(
      ({ executionId, fence: { leaseId, leaseEpoch, attemptId } }): Command => ({
        name: 'beginAttempt',
        args: { executionId, fence: { leaseId, leaseEpoch, attemptId } },
      }),
    );
    try {
      const results = await this.options.backend.execute(commands);
      return attempts.map((_, index) => answerOf(results[index]));
    } catch (error) {
      return attempts.map(() => answerOfError(error));
    }
  }
}
