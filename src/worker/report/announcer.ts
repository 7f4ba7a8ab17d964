/** Reports what happens in a worker: events for the program, and log messages for people. */
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { warnUnlessLogged } from '../../engine/outage.js';
import { guarded, silentLogger, type Logger } from '../../shared/logger.js';
import { warnOfProcess } from '../../util/quietly.js';
import { Repeats } from '../../util/repeats.js';
import { propertyOf } from '../../util/thrown.js';
import { TaskAbort, type TaskAbortCode } from '../attempt/abort.js';
import type { FinishedOutcome, WorkerEvents } from '../api.js';
import type { Attempt } from '../attempt/attempt.js';
import { oddRetryAfter, OUTCOME, retryAfterMsOf } from '../handler/outcome.js';
import { outcomeBrandOf } from '../steps/failure.js';
import { Emitter } from './emitter.js';
import type { ReportedEnding } from './reporter.js';

const nameOf = ({ claimed, executionId }: Attempt): string => `"${claimed.executionKind}", ${executionId}`;

/** Most runs that one message names. */
const MAX_NAMED = 10;

type Failure = Extract<ReportedEnding, { kind: 'fail' }>;

/** Why a failure has no retry. */
function finalBecause({ permanent, error, category }: Failure): string {
  if (!permanent) return `no retry is left, or its category (${category}) is not retried`;
  return propertyOf(error, 'isStored') === true
    ? 'what a step failed with is stored'
    : `a failure of this kind (${category}) is final`;
}

export class Announcer {
  /** The user's logger, guarded against its own errors. */
  readonly log: Logger;
  private readonly emitter: Emitter<WorkerEvents>;

  private readonly repeats: Repeats;
  private readonly gone = new WeakSet<Attempt>();
  /** Whether the process was warned of a block, for want of a log. */
  private hasWarned = false;

  constructor(
    log: Logger,
    clock: Clock,
    private readonly backend: Backend,
  ) {
    this.log = guarded(log);
    this.repeats = new Repeats(() => clock.now());
    this.emitter = new Emitter((error) => this.log.error('A listener of a worker event failed.', error));
  }

  on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    return this.emitter.on(type, listener);
  }

  claimed({ executionId, claimed, laneId }: Attempt): void {
    const attempt = claimed.attemptIndex + 1;
    this.emitter.emit('claimed', { executionId, task: claimed.executionKind, laneId, attempt });
  }

  finished({ executionId, claimed }: Attempt, outcome: FinishedOutcome, durationMs: number, failure: object): void {
    this.emitter.emit('finished', { executionId, task: claimed.executionKind, outcome, durationMs, ...failure });
  }

  leaseLost({ executionId, claimed }: Attempt, reason: TaskAbortCode): void {
    this.emitter.emit('leaseLost', { executionId, task: claimed.executionKind, reason });
  }

  /** The store has lost the execution. Said once for all that are lost together. */
  forgotten(attempt: Attempt): void {
    this.gone.add(attempt);
    if (this.repeats.isRepeat({ name: 'forgotten' })) return;
    this.log.warn(
      `The store no longer knows ${nameOf(attempt)}, which this worker had in hand; it may have lost others too. It was ` +
        'emptied, was restored from an older copy, or lost its newest writes in a failover. What is missing has to be ' +
        'run again.',
    );
  }

  /** An attempt whose handler was called has ended by time, or lost its lease. */
  lostAttempt(attempt: Attempt, code: TaskAbortCode): void {
    const { claimed, executionId } = attempt;
    if (attempt.startedAt === undefined || this.gone.has(attempt)) return;
    const nth = `attempt ${claimed.attemptIndex + 1} of ${executionId}`;
    this.log.warn(`Task "${claimed.executionKind}" lost ${nth}. ${new TaskAbort(code).message}`);
  }

  idle(): void {
    this.emitter.emit('idle', {});
  }

  failedCall(error: unknown): void {
    if (!this.repeats.isRepeat(error))
      warnUnlessLogged(this.backend, this.log, 'The worker had an error and continues.', error);
    this.emitter.emit('error', { error });
  }

  failedAttempt({ executionId, claimed }: Attempt, failure: Failure, outcome: FinishedOutcome): void {
    const { error } = failure;
    const next =
      outcome === 'retry_scheduled' ? 'it will be retried' : `it will not be retried: ${finalBecause(failure)}`;
    const isOdd = outcomeBrandOf(error) === OUTCOME.retryable && retryAfterMsOf(error) === 'invalid';
    this.log.warn(
      `Task "${claimed.executionKind}" failed in attempt ${claimed.attemptIndex + 1} of ${executionId}; ${next}.` +
        (isOdd ? ` ${oddRetryAfter(error)}` : ''),
      error,
    );
  }

  noHandler({ executionId, claimed }: Attempt): void {
    this.log.warn(`No handler for task "${claimed.executionKind}" on this worker; its work is handed back.`, {
      executionId,
    });
  }

  reclaimCapExceeded(executionId: string): void {
    this.log.error(`${executionId} failed: it lost its worker too often.`);
  }

  signalListenerFailed(attempt: Attempt, error: unknown): void {
    this.log.error(`A listener that the handler of ${nameOf(attempt)} put on its signal failed.`, error);
  }

  /** The engine refused the ending for a reason other than lost ownership. */
  unreported(attempt: Attempt, error: unknown): void {
    this.log.error(
      `The ending of ${nameOf(attempt)} could not be reported; its lease will lapse, and it will be attempted again.`,
      error,
    );
  }

  reportGivenUp(attempt: Attempt, ending: ReportedEnding['kind'], tookMs: number, error: unknown): void {
    const { executionId, claimed } = attempt;
    const afterMs = Math.round(tookMs);
    this.log.error(
      `Reporting the ending (${ending}) of ${nameOf(attempt)} was given up: no answer for ${afterMs} ms. Its lease will ` +
        'lapse, and it will be attempted again. Look for a result that is too large for the connection.',
      error,
    );
    this.emitter.emit('reportGivenUp', { executionId, task: claimed.executionKind, ending, afterMs, error });
  }

  handlerStuck(attempt: Attempt, stuck: number, claiming: boolean, graceMs: number): void {
    const { executionId, claimed } = attempt;
    const reason = attempt.abortCode ?? 'lease_lost';
    this.log.error(
      `The handler of ${nameOf(attempt)} has not ended ${graceMs} ms after its signal (${reason}); it loses its slot. ` +
        'Pass the signal on to whatever the handler waits for.',
    );
    this.emitter.emit('handlerStuck', { executionId, task: claimed.executionKind, reason, stuck, claiming });
  }

  /** A drain has handed back work whose handlers have not stopped. */
  runningOn(attempts: readonly Attempt[]): void {
    const tasks = [...new Set(attempts.map(({ claimed }) => `"${claimed.executionKind}"`))].sort().join(', ');
    this.log.warn(
      `The drain is over, and work was handed back whose handlers still run here (${attempts.length} of task ${tasks}): ` +
        'another worker can run it at the same time. Pass the signal on to whatever the handlers wait for. The process ' +
        'ends when they do, or when you end it.',
      { executionIds: attempts.slice(0, MAX_NAMED).map(({ executionId }) => executionId) },
    );
  }

  stuckSettled(attempt: Attempt, afterMs: number): void {
    this.log.info(`The stuck handler of ${nameOf(attempt)} settled after ${Math.round(afterMs)} ms more.`);
  }

  tooManyStuck(tooMany: boolean, slots: number): void {
    if (tooMany) this.log.error(`More handlers are stuck than the ${slots} slots: the worker has stopped claiming.`);
    else this.log.info('Stuck handlers have settled: the worker claims again.');
  }

  lostOften(attempt: Attempt, losses: number, inMs: number): void {
    this.log.warn(
      `${nameOf(attempt)} has lost its worker ${losses} times; it is attempted again in ${inMs} ms. Does its handler end ` +
        'the process, or block the event loop?',
    );
  }

  blockedBefore(attempt: Attempt, inMs: number): void {
    this.log.warn(
      `${nameOf(attempt)} has blocked the event loop of this worker until leases were lost; it is delayed for ${inMs} ms, ` +
        'and attempted again when a worker claims its task after that.',
    );
  }

  /**
   * @param isCertain whether the one task blocked the loop; otherwise the tasks are candidates
   * @param restMs for how long the worker claims no executions of the one task, ms
   */
  loopBlocked(forMs: number, tasks: readonly string[], isCertain: boolean, restMs: number): void {
    const names = tasks.map((task) => `"${task}"`).join(', ');
    const cause = isCertain
      ? ` by task ${names}.`
      : `. Handlers of ${names} were running: one of them may be the cause, or other code of this process. Handlers that ` +
        'start from now on are traced for ten minutes, so that another block names its task.';
    const message =
      `The event loop was blocked for at least ${forMs} ms${cause} No lease can be renewed meanwhile: compute in a worker ` +
      'thread, or in shorter pieces.' +
      (restMs > 0 ? ` The worker claims no more of the task for ${restMs} ms.` : '');
    this.log.warn(message);
    if (this.log === silentLogger && !this.hasWarned && !this.emitter.hasListener('loopBlocked')) {
      this.hasWarned = true;
      warnOfProcess(`flowfabric: ${message} Later blocks are not reported here: give app() a \`log\`.`);
    }
    this.emitter.emit('loopBlocked', { forMs, tasks, isCertain });
  }
}
