/**
 * `app.on('completed', ...)`: runs of the app's namespace that end, in whichever process. One subscription for all
 * listeners, there while there are any.
 */
import type { Backend } from '../../backend.js';
import { sleep, type Clock } from '../../engine/clock.js';
import { EngineError } from '../../../model/errors.js';
import type { Logger } from '../../shared/logger.js';
import type { Subscription } from '../../subscribing/subscription.js';
import type { Completion } from '../../subscribing/views.js';
import { failureOf, type Failure } from '../runs/failure.js';

/** A run that ended. */
export interface EndedRun {
  /** The execution id: `app.get(id)` is the run, `task.get(id)` the typed run. */
  readonly id: string;
  /** The name of its task. */
  readonly task: string;
  readonly lane: string;
  /** Ms since the epoch. */
  readonly at: number;
}

/** The events of an app and what their listeners receive. */
export interface AppEvents {
  completed: EndedRun;
  failed: EndedRun & { readonly failure: Failure };
  cancelled: EndedRun & { readonly reason: string };
  expired: EndedRun & { readonly reason: 'attempt_timeout' | 'execution_deadline' | 'suspension_timeout' };
  /** A member of a flow that did not run, because something it depends on did not complete. */
  skipped: EndedRun;
}

export type AppEventListener<Name extends keyof AppEvents> = (ended: AppEvents[Name]) => void;

export const APP_EVENTS: readonly (keyof AppEvents)[] = ['completed', 'failed', 'cancelled', 'expired', 'skipped'];

const NAMES: { readonly [Outcome in Completion['outcome']]: keyof AppEvents } = {
  success: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
  skipped: 'skipped',
};

/** Wait before a subscription that ended is made anew, ms. */
const AGAIN_MS = 1_000;

export interface EndListenersOptions {
  readonly backend: () => Promise<Backend>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly namespace: string;
}

type AnyListener = (ended: never) => void;

/** The subscription while there are listeners. */
interface Following {
  readonly end: AbortController;
  readonly stands: Promise<unknown>;
}

export class EndListeners {
  private readonly listeners = new Map<keyof AppEvents, Set<{ readonly listener: AnyListener }>>();
  private following: Following | undefined;

  constructor(private readonly options: EndListenersOptions) {}

  /** Resolves when every run that ends from then on is told. @throws what the backend throws for good */
  async add<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void> {
    const entry = { listener: listener as AnyListener };
    const known = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, known.add(entry));
    const remove = (): void => {
      known.delete(entry);
      if ([...this.listeners.values()].every(({ size }) => size === 0)) this.close();
    };
    try {
      this.following ??= this.follow();
      await this.following.stands;
      return remove;
    } catch (error) {
      remove();
      throw error;
    }
  }

  close(): void {
    this.following?.end.abort();
    this.following = undefined;
  }

  private follow(): Following {
    const end = new AbortController();
    const { signal } = end;
    const begun = this.subscribe('now', signal);
    void begun
      .then((feed) => this.readOn(feed, signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.close();
        this.options.log.error('Listeners for the ends of runs are no longer called.', error);
      });
    return { end, stands: begun };
  }

  private async subscribe(from: string, signal: AbortSignal): Promise<Subscription<Completion>> {
    const { namespace, clock } = this.options;
    const { Subscriptions } = await import('../../subscribing/index.js');
    return new Subscriptions(await this.options.backend(), clock).completions({ namespace, from, signal });
  }

  private async readOn(feed: Subscription<Completion>, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.options;
    for (let current = feed; ; ) {
      try {
        for await (const { event } of current) this.tell(event);
        return;
      } catch (error) {
        const earliest = error instanceof EngineError ? error.detail['earliest'] : undefined;
        if (signal.aborted || earliest === undefined) throw error;
        log.warn('Listeners missed the ends of some runs: the log no longer has them.', error);
        await sleep(clock, AGAIN_MS);
        current = await this.subscribe(earliest, signal);
      }
    }
  }

  private tell(completion: Completion): void {
    const name = NAMES[completion.outcome];
    const ended = endedRunOf(completion);
    for (const { listener } of [...(this.listeners.get(name) ?? [])]) {
      try {
        listener(ended as never);
      } catch (error) {
        this.options.log.error(`A listener of "${name}" failed.`, error);
      }
    }
  }
}

function endedRunOf(completion: Completion): AppEvents[keyof AppEvents] {
  const { executionId: id, kind: task, lane, at, reason = '', category = '' } = completion;
  const run: EndedRun = { id, task, lane, at };
  switch (completion.outcome) {
    case 'success':
    case 'skipped':
      return run;
    case 'failed':
      return { ...run, failure: failureOf(reason, category) };
    default:
      return { ...run, reason } as AppEvents['cancelled'];
  }
}
