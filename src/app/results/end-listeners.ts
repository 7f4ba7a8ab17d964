/**
 * `app.on('completed', ...)`: reports the runs and flows of the app's namespace that end in any process. All listeners
 * share one subscription, which exists while there are listeners.
 */
import { present } from '../../../model/core/present.js';
import type { Backend } from '../../backend/backend.js';
import { sleep, spread, type Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { SetAsideError } from '../../backend/set-aside.js';
import { EngineError } from '../../../model/errors.js';
import type { EventType, ReadEvent } from '../../../model/events.js';
import { executionIdOf } from '../../../model/ids.js';
import { executionNamed } from '../../../model/partition/quarantine.js';
import type { Logger } from '../../shared/logger.js';
import { completionOf, ENDING_TYPES, type Completion } from '../../subscribing/completion.js';
import type { DamageListener, Delivery, Subscription } from '../../subscribing/subscription.js';
import { flowEndOf, type FlowEvents } from '../flow/ended-flow.js';
import { failureOf, type Failure } from '../runs/failure.js';
import { calledBy, type Called } from '../runs/tags.js';
import { copied } from '../../util/copied.js';
import { quietly } from '../../util/quietly.js';

/** A run that ended. If the store no longer has it, `ownId` and `tags` are unknown: absent and empty. */
export interface EndedRun extends Called {
  /** The execution id: `app.get(id)` is the run, `task.get(id)` the typed run. */
  readonly id: string;
  /** The name of its task. */
  readonly task: string;
  readonly lane: string;
  /** Ms since the epoch. */
  readonly at: number;
}

/** The events of an app and what their listeners receive. */
export interface AppEvents extends FlowEvents {
  completed: EndedRun;
  failed: EndedRun & { readonly failure: Failure };
  cancelled: EndedRun & { readonly reason: string };
  expired: EndedRun & { readonly reason: 'attempt_timeout' | 'execution_deadline' | 'suspension_timeout:expire' };
  /** A member of a flow that did not run, because a member that it depends on did not complete. */
  skipped: EndedRun;
  error: AppEventsFault;
}

/**
 * A call of this app, of a worker or of its timer loop has quarantined a damaged record (`name` is set), or some ends of
 * runs do not reach the listeners, for a time or for ever.
 */
export interface AppEventsFault {
  /**
   * `corruption`: the record is unreadable; without a `name`, the log of a partition has an unreadable entry. Listeners
   * get the later ends of this partition once the entry is repaired, and meanwhile the ends of other partitions.
   * `cursor_too_old`, `cursor_lost`: ends that listeners did not get yet are gone from the log. Any other code: the
   * subscription failed, and is opened again.
   */
  readonly error: EngineError;
  /** The key of the partition; absent if the fault concerns several. */
  readonly partition: string | undefined;
  /** The quarantined record as `deadLetters.quarantined()` names it. */
  readonly name?: string | undefined;
  /** The execution of the record, in any namespace, because the damage can hide it. Absent for other records. */
  readonly executionId?: string | undefined;
}

export type AppEventListener<Name extends keyof AppEvents> = (event: AppEvents[Name]) => void;

type RunEventName = Exclude<keyof AppEvents, keyof FlowEvents | 'error'>;

const ENDS: { readonly [Outcome in Completion['outcome']]: RunEventName } = {
  success: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
  skipped: 'skipped',
};

const FLOW_EVENTS: readonly (keyof FlowEvents)[] = ['flowCompleted', 'flowFailed', 'flowCancelled'];

export const APP_EVENTS: readonly (keyof AppEvents)[] = [...Object.values(ENDS), ...FLOW_EVENTS, 'error'];

/** The events that the subscription reads. */
const TYPES: readonly EventType[] = [...ENDING_TYPES, 'flow_finished'];

/** Pause before a failed subscription is opened again, ms; it doubles with each consecutive fault. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** Ends that are read concurrently. */
const MAX_READ = 64;

export interface EndListenersOptions {
  readonly backend: () => Promise<Backend>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly namespace: string;
}

type AnyListener = (event: never) => unknown;

/** An event and the name of its listeners. */
interface End {
  readonly name: keyof AppEvents;
  readonly event: AppEvents[keyof AppEvents];
}

/** The subscription while there are listeners. */
interface FeedSubscription {
  readonly end: AbortController;
  readonly active: Promise<unknown>;
}

export class EndListeners {
  private readonly listeners = new Map<keyof AppEvents, Set<{ readonly listener: AnyListener }>>();
  private subscription: FeedSubscription | undefined;

  constructor(private readonly options: EndListenersOptions) {}

  /** Resolves when no later end of a run can be missed. @throws every permanent error of the backend */
  async add<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void> {
    const entry = { listener: listener as AnyListener };
    const known = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, known.add(entry));
    const remove = (): void => {
      known.delete(entry);
      if ([...this.listeners.values()].every(({ size }) => size === 0)) this.close();
    };
    try {
      this.subscription ??= this.subscribeFromNow();
      await this.subscription.active;
      return remove;
    } catch (error) {
      remove();
      throw error;
    }
  }

  close(): void {
    this.subscription?.end.abort();
    this.subscription = undefined;
  }

  private subscribeFromNow(): FeedSubscription {
    const end = new AbortController();
    const { signal } = end;
    const begun = this.subscribe('now', signal);
    void begun
      .then((feed) => this.readWithRetries(feed, signal))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.close();
        this.options.log.error('Listeners for the ends of runs are no longer called.', error);
      });
    return { end, active: begun };
  }

  private async subscribe(from: string, signal: AbortSignal): Promise<Subscription<ReadEvent>> {
    const { clock } = this.options;
    const { Subscriptions } = await import('../../subscribing/index.js');
    const onDamage: DamageListener = (partition, error) => this.noteDamage(partition, error);
    return new Subscriptions(await this.options.backend(), clock).events({ types: TYPES, from, signal, onDamage });
  }

  /** Goes on where a feed broke off. @throws EngineError `backend_closed`; a mistake of this library */
  private async readWithRetries(first: Subscription<ReadEvent>, signal: AbortSignal): Promise<void> {
    const { clock } = this.options;
    let [feed, from] = [first as Subscription<ReadEvent> | undefined, first.cursor];
    let [fault, waitMs] = ['', RETRY_MS];
    for (;;) {
      try {
        feed ??= await this.subscribe(from, signal);
        await this.emitAll(feed, signal, () => ([fault, waitMs] = ['', RETRY_MS]));
        return;
      } catch (error) {
        if (signal.aborted || !(error instanceof EngineError) || error.code === 'backend_closed') throw error;
        from = error.detail['earliest'] ?? feed?.cursor ?? from;
        feed = undefined;
        // A lasting fault is reported once.
        if (error.code !== fault) this.noteFault(error);
        fault = error.code;
        await sleep(clock, spread(clock, waitMs, 0.2), signal);
        signal.throwIfAborted();
        waitMs = Math.min(2 * waitMs, MAX_RETRY_MS);
      }
    }
  }

  /** Reports ends in their order. The details of a page of ends are read concurrently. */
  private async emitAll(feed: Subscription<ReadEvent>, signal: AbortSignal, onDelivery: () => void): Promise<void> {
    let emitted: Promise<void> = Promise.resolve();
    let reading = 0;
    for await (const delivery of feed) {
      onDelivery();
      const read = this.endOf(delivery, signal);
      if (read === undefined) continue;
      const before = emitted;
      reading += 1;
      emitted = before.then(async () => {
        const end = await read;
        if (end !== undefined && !signal.aborted) this.emit(end.name, end.event);
        reading -= 1;
      });
      if (reading === MAX_READ) await emitted;
    }
  }

  /** The end of a run from its log entry, if it has listeners. */
  private endOf({ event, partition }: Delivery<ReadEvent>, signal: AbortSignal): Promise<End | undefined> | undefined {
    const { namespace } = this.options;
    if (event.type === 'flow_finished') {
      const isHeard = FLOW_EVENTS.some((name) => this.listenersOf(name).length > 0);
      return isHeard ? this.flowEnd(executionIdOf(partition, event.flow), event.at, signal) : undefined;
    }
    const completion = completionOf(event);
    if (completion?.namespace !== namespace) return undefined;
    const name = ENDS[completion.outcome];
    if (this.listenersOf(name).length === 0) return undefined;
    return this.calledBy(completion.executionId, signal).then((called) => ({
      name,
      event: endedRunOf(completion, called),
    }));
  }

  private async flowEnd(flowId: string, at: number, signal: AbortSignal): Promise<End | undefined> {
    const { clock, namespace } = this.options;
    const call = <T>(read: () => Promise<T>): Promise<T> => withRetries(clock, Infinity, read, signal);
    try {
      // Refused if the app is closed meanwhile.
      const backend = await this.options.backend();
      return await flowEndOf({ backend, flowId, call }, namespace, at);
    } catch (error) {
      if (!signal.aborted)
        this.options.log.error(`Listeners do not get the end of flow ${flowId}: it cannot be read.`, error);
      return undefined;
    }
  }

  private async calledBy(executionId: string, signal: AbortSignal): Promise<Called> {
    const { backend, clock } = this.options;
    const read = async () => (await backend()).getExecutionTags({ executionId });
    // The end is reported even if the record of its run was purged or damaged.
    const tags = await withRetries(clock, Infinity, read, signal).catch(() => undefined);
    return calledBy(tags ?? {});
  }

  private noteFault(error: EngineError): void {
    const { code, detail } = error;
    const isLoss = code === 'cursor_too_old' || code === 'cursor_lost';
    if (isLoss) this.options.log.warn('Listeners missed the ends of some runs: the log no longer has them.', error);
    else this.options.log.error('Listeners do not hear of the ends of runs until their feed can be read again.', error);
    this.emit('error', { error, partition: detail['partition'] });
  }

  private noteDamage(partition: string, error: EngineError | undefined): void {
    const { log } = this.options;
    if (error === undefined) return log.info(`The log of ${partition} can be read again: listeners hear of its runs.`);
    log.error(`The log of ${partition} is damaged: until it can be read, listeners do not hear of its runs.`, error);
    this.emit('error', { error, partition });
  }

  /** Reports quarantined records one by one. They are already in the app's log. */
  tellSetAside({ detail, names }: SetAsideError): void {
    const partition = present(detail['partition']);
    for (const name of names) {
      const error = new SetAsideError(partition, [name]);
      this.emit('error', { error, partition, name, executionId: executionNamed(name) });
    }
  }

  private listenersOf(name: keyof AppEvents): readonly { readonly listener: AnyListener }[] {
    return [...(this.listeners.get(name) ?? [])];
  }

  private emit<Name extends keyof AppEvents>(name: Name, event: AppEvents[Name]): void {
    for (const { listener } of this.listenersOf(name))
      quietly(
        () => listener(copied(event) as never),
        (error) => this.options.log.error(`A listener of "${name}" failed.`, error),
      );
  }
}

function endedRunOf(completion: Completion, called: Called): AppEvents[RunEventName] {
  const { executionId: id, kind: task, lane, at, reason = '', category = '' } = completion;
  const run: EndedRun = { id, ...called, task, lane, at };
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
