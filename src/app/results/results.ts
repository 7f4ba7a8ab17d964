/**
 * Waiting for results: one waiter per app, however many runs are waited for. Whatever brings news of an end comes in
 * here: a command of this process through the local news (`settle`), an announcement of its partition (`onAnnouncement`), and the
 * polls of `results-watch.ts`, which find all else. A hint from elsewhere that a run may have ended is `look`.
 */
import { EngineError } from '../../../model/errors.js';
import { isExecutionId, partitionOfExecution } from '../../../model/ids.js';
import type { Announcement, Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { localNews } from '../../engine/local-news.js';
import { onAbort } from '../../shared/abort-listeners.js';
import type { AppClosedError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { EndsSubscription } from '../../engine/ends-subscription.js';
import type { Ended } from './ends.js';
import { PartitionWatch, type Waiter } from './watch.js';

export class ResultWaiter {
  private readonly watches = new Map<string, PartitionWatch>();
  private readonly stopListening: () => void;
  /** Partitions that cannot be asked at present. */
  private readonly troubled = new Set<string>();
  private readonly ends: EndsSubscription;
  private closed: AppClosedError | undefined;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly log: Logger,
  ) {
    this.stopListening = localNews(backend).listen((news) => {
      if (news.kind !== 'attempt_timeout') this.settle(news);
    });
    this.ends = new EndsSubscription(backend, clock, (announcement) => this.onAnnouncement(announcement));
  }

  /**
   * Resolves when the execution has ended.
   * @throws RunNotFoundError; ResultUnavailableError; AppClosedError; what the backend throws for good; the signal's reason
   */
  async wait(executionId: string, signal?: AbortSignal): Promise<Ended> {
    if (!isExecutionId(executionId)) {
      throw new EngineError('invalid_input', 'executionId: must be a valid execution id, like "{fp:0}:<uuid>".', {
        detail: { field: 'executionId' },
      });
    }
    if (this.closed !== undefined) throw this.closed;
    if (signal?.aborted) throw signal.reason;
    const watch = this.watchOf(partitionOfExecution(executionId));
    return new Promise((resolve, reject) => {
      const stopListening =
        signal &&
        onAbort(signal, () => {
          watch.remove(executionId, waiter);
          reject(signal.reason);
        });
      const waiter: Waiter = {
        resolve: (ended) => {
          stopListening?.();
          resolve(ended);
        },
        reject: (error) => {
          stopListening?.();
          reject(error);
        },
      };
      watch.add(executionId, waiter);
    });
  }

  /** Settles the waits for this run. */
  settle(ended: Ended): void {
    this.watches.get(partitionOfExecution(ended.executionId))?.settle(ended);
  }

  /** A run may have ended: if it is waited for, its state is asked for at once. */
  look(executionId: string): void {
    this.watches.get(partitionOfExecution(executionId))?.look(executionId);
  }

  private onAnnouncement(announcement: Announcement): void {
    if (announcement.kind === 'ended') this.watches.get(announcement.partition)?.onEnded(announcement.executionIds);
    else for (const watch of this.watches.values()) watch.lookAtAll();
  }

  /** The fault that the store answers with at present when it is asked for this run; nothing when it answers. */
  troubleWith(executionId: string): unknown {
    return isExecutionId(executionId) ? this.watches.get(partitionOfExecution(executionId))?.trouble : undefined;
  }

  /** Ends every wait with this error. */
  close(error: AppClosedError): void {
    this.closed = error;
    this.stopListening();
    this.ends.close();
    for (const watch of this.watches.values()) watch.rejectAll(error);
  }

  private watchOf(partition: string): PartitionWatch {
    let watch = this.watches.get(partition);
    if (watch === undefined) {
      const { backend, clock } = this;
      watch = new PartitionWatch({
        backend,
        clock,
        partition,
        onTrouble: (error) => this.noteTrouble(partition, error),
        onAsk: () => this.ends.ask(partition),
      });
      this.watches.set(partition, watch);
    }
    return watch;
  }

  /** Says once that the store cannot be asked, however many wait, and once that it can again. */
  private noteTrouble(partition: string, error: unknown): void {
    if (error !== undefined) {
      this.troubled.add(partition);
      if (this.troubled.size === 1) this.log.warn('The store is unreachable; waiting for results continues.', error);
    } else if (this.troubled.delete(partition) && this.troubled.size === 0) {
      this.log.info('The store is reachable again.');
    }
  }
}
