/** What follows the end of an attempt: the worker's books are closed, and listeners and the rest of the process are told. */
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { localNews } from '../../engine/local-news.js';
import type { FinishedOutcome, WorkerStats } from '../api.js';
import type { Attempt } from '../attempt/attempt.js';
import type { Announcer } from './announcer.js';
import { conclusionOf, outcomeOfTaken } from './conclusion.js';
import type { ReportedEnding, Settlement } from './reporter.js';

/** The counter of each outcome. */
const COUNTED_AS = {
  ...{ completed: 'completed', failed: 'failed', retry_scheduled: 'failed', delayed: 'delayed' },
  ...{ suspended: 'suspended', released: 'released', cancelled: 'cancelled', timed_out: 'timedOut', lost: 'lost' },
} as const satisfies Record<FinishedOutcome, keyof WorkerStats>;

export interface EndingsOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly announcer: Announcer;
  /** Called first with each attempt that is over for this worker. */
  readonly onOver: (attempt: Attempt, outcome: FinishedOutcome) => void;
  /** Called after an attempt without an accepted ending is over. */
  readonly onTaken: () => void;
  /** Reports another ending of an attempt in place of one that came too late. */
  readonly report: (attempt: Attempt, ending: ReportedEnding) => void;
}

export class Endings {
  readonly counts = {
    ...{ completed: 0, failed: 0, delayed: 0, suspended: 0, released: 0 },
    ...{ cancelled: 0, timedOut: 0, lost: 0 },
  };

  constructor(private readonly options: EndingsOptions) {}

  /** Call this with the answer to an ending that was reported. */
  settled(attempt: Attempt, ending: ReportedEnding, settlement: Settlement): void {
    const conclusion = conclusionOf(ending, settlement);
    if (conclusion === 'run_again') {
      this.options.report(attempt, { kind: 'delay', until: { inMs: 0 }, isWaiting: true });
      return;
    }
    if (conclusion === undefined) {
      this.unsettled(attempt, ending, settlement);
      this.taken(attempt);
      return;
    }
    if (ending.kind === 'fail') this.options.announcer.failedAttempt(attempt, ending, conclusion);
    this.over(attempt, conclusion, ending.kind === 'fail' ? { error: ending.error } : {});
    this.publish(attempt, ending, conclusion);
  }

  /** Call this with an attempt that has no accepted ending: its run is no longer the worker's. */
  taken(attempt: Attempt): void {
    const { lossReason } = attempt;
    // The end of a run that was cancelled is told to those who ask for it, as the end of any run.
    if (lossReason !== undefined && lossReason !== 'cancelled') this.options.announcer.lostAttempt(attempt, lossReason);
    this.over(attempt, outcomeOfTaken(lossReason));
    this.options.onTaken();
  }

  private over(attempt: Attempt, outcome: FinishedOutcome, failure: { readonly error?: unknown } = {}): void {
    const { startedAt } = attempt;
    attempt.progress?.take();
    this.options.onOver(attempt, outcome);
    this.counts[COUNTED_AS[outcome]]++;
    const durationMs = startedAt === undefined ? 0 : this.options.clock.now() - startedAt;
    this.options.announcer.finished(attempt, outcome, durationMs, failure);
  }

  /** Says why an ending did not end its attempt. */
  private unsettled(attempt: Attempt, ending: ReportedEnding, settlement: Settlement): void {
    const { announcer } = this.options;
    if (settlement.kind === 'accepted') {
      const error = new Error(`The answer was ${settlement.outcome.kind}, which ends no attempt.`);
      announcer.unreported(attempt, error);
      return;
    }
    const { error } = settlement;
    const refusal = settlement.kind === 'refused' ? settlement.error : undefined;
    const loss = refusal && attempt.lossBy(refusal);
    if (settlement.kind === 'given_up') announcer.reportGivenUp(attempt, ending.kind, settlement.afterMs, error);
    else if (loss === undefined) announcer.unreported(attempt, error);
    else attempt.lose(loss, undefined, refusal);
  }

  /** Tells the rest of the process how an execution ended. */
  private publish({ executionId }: Attempt, ending: ReportedEnding, outcome: FinishedOutcome): void {
    const news = localNews(this.options.backend);
    if (ending.kind === 'complete')
      news.publish({ kind: 'completed', executionId, result: ending.bytes, encoding: ending.encoding });
    if (ending.kind === 'fail' && outcome === 'failed')
      news.publish({ kind: 'failed', executionId, reason: ending.reason, category: ending.category });
  }
}
