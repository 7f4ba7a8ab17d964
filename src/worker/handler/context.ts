/** The context of a handler, its one argument. */
import { EngineError } from '../../../model/errors.js';
import type { Logger } from '../../shared/logger.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { asEngineError } from '../../util/engine-error.js';
import { TaskAbort } from '../attempt/abort.js';
import type { Attempt } from '../attempt/attempt.js';
import { isUnanswered } from '../lease/answers.js';
import { spendingOf, type SpendingOn } from '../budgets/spending.js';
import type { ChildRowOf } from '../children/child.js';
import type { Fence, TaskContext } from './handler.js';
import { HandlerFence } from './handler-fence.js';
import { stepOf, type Step } from '../steps/step.js';
import type { WaitingContext, WaitingDependencies } from '../waits/context.js';
import { streamOf } from '../streaming/index.js';
import type { TaskStream } from '../streaming/task-stream.js';
import { logOf, promisesOf } from './promises.js';
import { Progress, progressFacts, type ProgressArgs, type ProgressFacts } from './progress.js';

export interface ContextDependencies {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Logger;
  /** Mints ids. */
  readonly ids: () => string;
  readonly undecided: WaitingDependencies['undecided'];
  readonly childRow?: ChildRowOf | undefined;
  readonly signalsOf?: WaitingDependencies['signalsOf'];
  readonly definedAt?: WaitingDependencies['definedAt'];
}

/** The arguments of a progress call of this attempt. */
export function progressArgs({ executionId, fence }: Attempt, facts: ProgressFacts): ProgressArgs {
  const { leaseId, leaseEpoch, attemptId } = fence;
  return { executionId, leaseId, leaseEpoch, attemptId, ...facts };
}

const { attemptOf, dependenciesOf, waitingOf } = HandlerFence;

/**
 * The context of an attempt's handler. Everything except facts of the attempt is created on first use, because many
 * handlers use nothing else. It is a class, because an object literal with accessors costs more than the rest of an
 * attempt.
 */
export class HandlerContext implements TaskContext {
  readonly executionId: string;
  readonly fence: Fence;
  readonly attempt: number;
  readonly resumes: number;

  constructor(
    attempt: Attempt,
    readonly input: unknown,
    dependencies: ContextDependencies,
  ) {
    const { executionId, claimed } = attempt;
    this.executionId = executionId;
    this.fence = new HandlerFence(attempt, dependencies);
    this.attempt = claimed.attemptIndex + 1;
    // Every claim raises the epoch; a claim that does not continue an attempt begins the next one.
    this.resumes = claimed.leaseEpoch - claimed.attemptIndex - 1;
  }

  /** A copy: with the memory backend, the tags belong to the store. */
  get tags(): Readonly<Record<string, string>> {
    return Object.freeze({ ...attemptOf(this).claimed.tags });
  }

  get signal(): AbortSignal {
    return attemptOf(this).signal;
  }

  get stream(): TaskStream {
    return streamOf(attemptOf(this), dependenciesOf(this));
  }

  get log(): Logger {
    return logOf(attemptOf(this), dependenciesOf(this).log);
  }

  get budget(): SpendingOn {
    return spendingOf(attemptOf(this), dependenciesOf(this));
  }

  get step(): Step {
    return stepOf(attemptOf(this), dependenciesOf(this));
  }

  get sleep(): WaitingContext['sleep'] {
    return waitingOf(this).sleep;
  }

  get sleepUntil(): WaitingContext['sleepUntil'] {
    return waitingOf(this).sleepUntil;
  }

  get waitFor(): WaitingContext['waitFor'] {
    return waitingOf(this).waitFor;
  }

  get approval(): WaitingContext['approval'] {
    return waitingOf(this).approval;
  }

  get waitpoint(): WaitingContext['waitpoint'] {
    return waitingOf(this).waitpoint;
  }

  get children(): WaitingContext['children'] {
    return waitingOf(this).children;
  }

  get progress(): TaskContext['progress'] {
    return (percent, message) => {
      const attempt = attemptOf(this);
      const dependencies = dependenciesOf(this);
      const reported = attempt.during(() => reportProgress(attempt, percent, message, dependencies));
      return promisesOf(attempt, dependencies).call('progress', reported);
    };
  }
}

async function reportProgress(
  attempt: Attempt,
  percent: number,
  message: string | undefined,
  { backend, clock }: ContextDependencies,
): Promise<void> {
  attempt.throwIfAborted();
  if (attempt.isOver) throw new EngineError('execution_not_active', 'progress: the handler of this run has ended.');
  const facts = progressFacts(attempt.claimed.executionKind, percent, message);
  attempt.progress ??= new Progress(clock, (latest) => send(attempt, latest, backend));
  await attempt.progress.say(facts);
}

/**
 * @returns false if the call has to be repeated
 * @throws TaskAbort when the worker no longer owns the execution; otherwise the refusal
 */
async function send(attempt: Attempt, facts: ProgressFacts, backend: Backend): Promise<boolean> {
  try {
    await backend.updateProgress(progressArgs(attempt, facts));
    return true;
  } catch (error) {
    const refusal = asEngineError(error);
    const code = refusal === undefined ? undefined : attempt.refused(refusal);
    if (code !== undefined) throw new TaskAbort(code);
    if (!isUnanswered(error)) throw error;
    attempt.throwIfLost();
    // The ending has left; what it could take along is over.
    return attempt.reported;
  }
}
