/** What a handler is called with. */
import { EngineError } from '../../model/errors.js';
import { prefixed, type Logger } from '../shared/logger.js';
import type { Backend } from '../backend.js';
import type { Clock } from '../engine/clock.js';
import { asEngineError } from '../util/engine-error.js';
import { TaskAbort } from './abort.js';
import type { Attempt } from './attempt.js';
import { spendingOf } from './budgets/spending.js';
import type { ChildRowOf } from './children/child.js';
import type { TaskContext } from './handler.js';
import { stepOf } from './steps/step.js';
import { waitingOf, type WaitingContext } from './waits/context.js';
import { streamOf } from './streaming/index.js';
import { Progress, progressFacts, type ProgressArgs, type ProgressFacts } from './progress.js';

export interface ContextDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Logger;
  /** Mints ids. */
  readonly ids: () => string;
  readonly childRow?: ChildRowOf | undefined;
}

/** The arguments of a progress call of this attempt. */
export function progressArgs({ executionId, fence }: Attempt, facts: ProgressFacts): ProgressArgs {
  const { leaseId, leaseEpoch, attemptId } = fence;
  return { executionId, leaseId, leaseEpoch, attemptId, ...facts };
}

/** The context of an attempt's handler. */
export function contextOf(attempt: Attempt, input: unknown, dependencies: ContextDependencies): TaskContext {
  const { executionId, claimed, fence } = attempt;
  const { log, clock } = dependencies;
  let made: WaitingContext | undefined;
  const waiting = (): WaitingContext => (made ??= waitingOf(attempt, dependencies));
  return {
    input,
    executionId,
    fence,
    attempt: claimed.attemptIndex + 1,
    // Every claim raises the epoch, and every one that does not go on with an attempt begins the next.
    resumes: claimed.leaseEpoch - claimed.attemptIndex - 1,
    // Made when asked for: many handlers need none of these. The tags are a copy: in memory they are the store's own.
    get tags() {
      return Object.freeze({ ...claimed.tags });
    },
    get signal() {
      return attempt.signal;
    },
    get stream() {
      return streamOf(attempt, dependencies.backend, clock);
    },
    get log() {
      return prefixed(log, `[${claimed.executionKind} ${executionId}]`);
    },
    get budget() {
      return spendingOf(attempt, dependencies);
    },
    get step() {
      return stepOf(attempt, dependencies);
    },
    get sleep() {
      return waiting().sleep;
    },
    get waitFor() {
      return waiting().waitFor;
    },
    get waitpoint() {
      return waiting().waitpoint;
    },
    get approval() {
      return waiting().approval;
    },
    get children() {
      return waiting().children;
    },
    get sleepUntil() {
      return waiting().sleepUntil;
    },
    progress: (percent, message) => {
      const said = (async () => {
        attempt.throwIfAborted();
        if (attempt.isOver)
          throw new EngineError('execution_not_active', 'progress: the handler of this run has ended.');
        const facts = progressFacts(claimed.executionKind, percent, message);
        attempt.progress ??= new Progress(clock, (latest) => send(attempt, latest, dependencies.backend));
        await attempt.progress.say(facts);
      })();
      // A handler need not wait for it: then its failure is no unhandled rejection. One that waits is told.
      said.catch(() => undefined);
      return said;
    },
  };
}

async function send(attempt: Attempt, facts: ProgressFacts, backend: Backend): Promise<void> {
  try {
    await backend.updateProgress(progressArgs(attempt, facts));
  } catch (error) {
    const refusal = asEngineError(error);
    const code = refusal === undefined ? undefined : attempt.refused(refusal);
    throw code === undefined ? error : new TaskAbort(code);
  }
}
