/** Ends handlers whose runs, or attempts, were ended outside of this worker: cancelled, expired, timed out. */
import type { Backend } from '../../backend/backend.js';
import { afterAndIo, type Clock } from '../../engine/clock.js';
import { localNews, type News } from '../../engine/local-news.js';
import type { Attempt } from '../attempt/attempt.js';
import type { AttemptsInHand } from '../attempt/in-hand.js';

/** How long the abort of a cancelled handler waits for the reason of the cancellation, ms. */
const REASON_PATIENCE_MS = 500;

export interface EndedElsewhereOptions {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly attempts: AttemptsInHand;
  /** Called when an execution has ended, in this process or elsewhere. */
  readonly onEnded: (executionId: string) => void;
}

export class EndedElsewhere {
  /** Stops listening to the news of this process. */
  readonly close: () => void;

  constructor(private readonly options: EndedElsewhereOptions) {
    this.close = localNews(options.backend).listen((news) => this.onNews(news));
  }

  /** Aborts a handler whose run was cancelled: with the reason, unless the store is slow to tell it. */
  async cancelled(attempt: Attempt): Promise<void> {
    const { backend, clock } = this.options;
    const lose = (reason?: string): void => {
      // The attempt may have ended by its timeout meanwhile.
      const isInHand = this.options.attempts.of(attempt.executionId).includes(attempt);
      if (isInHand && !attempt.reported) attempt.lose('cancelled', reason);
    };
    const stopWaiting = afterAndIo(clock, REASON_PATIENCE_MS, lose);
    const info = await backend.readExecutionInfo({ executionId: attempt.executionId }).catch(() => undefined);
    stopWaiting();
    lose(info?.cancellationReason);
  }

  private onNews(news: News): void {
    const { attempts, onEnded } = this.options;
    if (news.kind !== 'attempt_timeout') onEnded(news.executionId);
    // The worker that has the run in hand publishes these itself.
    if (news.kind === 'completed' || news.kind === 'failed') return;
    for (const attempt of attempts.of(news.executionId)) {
      if (attempt.reported) continue;
      if (news.kind === 'cancelled') attempt.lose('cancelled', news.reason);
      if (news.kind === 'expired') attempt.lose(news.reason === 'attempt_timeout' ? 'attempt_timeout' : 'deadline');
      if (news.kind === 'attempt_timeout' && attempt.timedOut) attempt.lose('attempt_timeout');
    }
  }
}
