/**
 * Waits for results, for all runs of an app. Ends are learned from commands of this process (`settle`, through the
 * local news), from announcements of partitions (`onAnnouncement`), and from the polls of `watch.ts`, which find all
 * others. `look` takes hints that a run may have ended.
 */
import { EngineError } from '../../../model/errors.js';
import { isExecutionId, partitionOfExecution } from '../../../model/ids.js';
import type { Announcement, Backend } from '../../backend/backend.js';
import type { Cancel, Clock } from '../../engine/clock.js';
import { localNews } from '../../engine/local-news.js';
import { outageOf } from '../../engine/outage.js';
import { onAbort } from '../../shared/abort-listeners.js';
import type { AppClosedError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { ASK_AGAIN_MS, EndsSubscription } from '../../engine/ends-subscription.js';
import type { Ended } from './ends.js';
import { PartitionWatch, type Waiter } from './watch.js';

/** The connection reports its loss before that, ms; what it does not report is reported here. */
const FAULT_LOGGED_AFTER_MS = 5_000;

export class ResultWaiter {
  private readonly watches = new Map<string, PartitionWatch>();
  private readonly stopListening: () => void;
  /** Partitions that cannot be read at present. */
  private readonly unreadable = new Set<string>();
  /** Whether this class logged it; otherwise the log already reported the loss of the connection. */
  private isFaultLogged = false;
  private cancelLogging: Cancel | undefined;
  private readonly ends: EndsSubscription;
  private closed: AppClosedError | undefined;

  constructor(
    private readonly backend: Backend,
    private readonly clock: Clock,
    private readonly log: Logger,
    private readonly maxPollMs?: number | undefined,
  ) {
    this.stopListening = localNews(backend).listen((news) => {
      if (news.kind !== 'attempt_timeout') this.settle(news);
    });
    const listener = (announcement: Announcement): void => this.onAnnouncement(announcement);
    this.ends = new EndsSubscription(backend, clock, listener, Math.max(ASK_AGAIN_MS, maxPollMs ?? 0));
  }

  /**
   * Resolves when the execution has ended.
   * @throws RunNotFoundError; ResultUnavailableError; AppClosedError; permanent errors of the backend; the signal's reason
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

  /** Call this when a run may have ended: its state is read at once if it is awaited. */
  look(executionId: string): void {
    this.watches.get(partitionOfExecution(executionId))?.look(executionId);
  }

  private onAnnouncement(announcement: Announcement): void {
    if (announcement.kind === 'ended') this.watches.get(announcement.partition)?.onEnded(announcement.executionIds);
    else for (const watch of this.watches.values()) watch.lookAtAll();
  }

  /** The fault of the last read in the run's partition; undefined if it succeeded. */
  faultOf(executionId: string): unknown {
    return isExecutionId(executionId) ? this.watches.get(partitionOfExecution(executionId))?.fault : undefined;
  }

  /** Ends every wait with this error. */
  close(error: AppClosedError): void {
    this.closed = error;
    this.cancelLogging?.();
    this.stopListening();
    this.ends.close();
    for (const watch of this.watches.values()) watch.rejectAll(error);
  }

  private watchOf(partition: string): PartitionWatch {
    let watch = this.watches.get(partition);
    if (watch === undefined) {
      const { backend, clock, maxPollMs } = this;
      watch = new PartitionWatch({
        ...{ backend, clock, partition, maxPollMs },
        onFault: (error) => this.noteFault(partition, error),
        onAsk: () => this.ends.ask(partition),
      });
      this.watches.set(partition, watch);
    }
    return watch;
  }

  /** Logs once that the store cannot be read, however many waits there are, and once that it can be read again. */
  private noteFault(partition: string, error: unknown): void {
    if (error !== undefined) {
      this.unreadable.add(partition);
      if (this.unreadable.size === 1)
        this.cancelLogging = this.clock.after(FAULT_LOGGED_AFTER_MS, () => this.logFault(error));
    } else if (this.unreadable.delete(partition) && this.unreadable.size === 0) {
      this.cancelLogging?.();
      if (this.isFaultLogged) this.log.info('The store is reachable again.');
      this.isFaultLogged = false;
    }
  }

  private logFault(error: unknown): void {
    if (outageOf(this.backend).isLogged) return;
    this.isFaultLogged = true;
    this.log.warn('The store is unreachable; waiting for results continues.', error);
  }
}
