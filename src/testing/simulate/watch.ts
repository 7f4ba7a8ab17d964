/** What happens to the runs of a simulated deployment, as its story tells it, and what must hold whatever happens. */
import type { Event, LoggedEvent } from '../../../model/events.js';
import type { TaskRegistry } from '../../app/tasks/registry.js';
import type { Command } from '../../engine/index.js';
import type { Handler, TaskContext } from '../../worker/handler/handler.js';

type AnyHandler = Handler<unknown, unknown>;

export interface WatchOptions {
  /** @param actor default the process whose code runs */
  readonly tell: (text: string, actor?: string) => void;
  /** The run has failed. */
  readonly fail: (error: Error) => void;
}

/** What the story says of an event. */
const TEXTS: Partial<Record<Event['type'], string>> = {
  execution_created: 'is created',
  lease_expired: 'has lost its worker: the lease ran out',
  execution_suspended: 'waits',
  signal_accepted: 'gets a signal',
  suspension_closed: 'need not wait any longer',
  retry_scheduled: 'has failed, and is retried',
  execution_delayed: 'is delayed',
  execution_completed: 'is completed',
  execution_failed: 'has failed',
  execution_cancelled: 'is cancelled',
  execution_expired: 'has expired',
  execution_skipped: 'is skipped',
  execution_replayed: 'is replayed',
};

export class Watch {
  /** The names of executions in the story. */
  readonly names = new Map<string, string>();
  private readonly created = new Map<string, number>();
  /** The lease under which each execution was claimed last. */
  private readonly owners = new Map<string, string>();
  /** The idempotency keys of steps whose values are stored, by execution. */
  private readonly stored = new Map<string, Set<string>>();
  private readonly watched = new WeakSet<AnyHandler>();

  constructor(private readonly options: WatchOptions) {}

  nameOf(executionId: string): string {
    return this.names.get(executionId) ?? executionId;
  }

  /** What a call is about. */
  callText(names: readonly string[], commands: readonly Command[]): string {
    const texts = commands.map(({ name, args }) => {
      const { executionId, stepName } = args as { readonly executionId?: string; readonly stepName?: string };
      const step = stepName === undefined ? '' : ` "${stepName}"`;
      return `${name}${step}${executionId === undefined ? '' : ` of ${this.nameOf(executionId)}`}`;
    });
    return (texts.length > 0 ? texts : names).join(' and ');
  }

  readonly logged = ({ event }: LoggedEvent): void => {
    if (!('executionId' in event)) return;
    const { executionId } = event;
    if (event.type === 'execution_created') {
      const { executionKind } = event;
      const count = (this.created.get(executionKind) ?? 0) + 1;
      this.created.set(executionKind, count);
      this.names.set(executionId, `${executionKind} ${count}`);
    }
    if (event.type === 'execution_claimed' || event.type === 'execution_resumed')
      this.owners.set(executionId, event.leaseId);
    if (event.type === 'execution_replayed' && event.checkpointsDiscarded) this.stored.delete(executionId);
    if (event.type === 'step_recorded') this.recorded(event);
    const text = TEXTS[event.type];
    if (text !== undefined) this.options.tell(`${this.nameOf(executionId)} ${text}`, 'store');
  };

  private recorded({ executionId, ...event }: Extract<Event, { type: 'step_recorded' }>): void {
    const { stepName, stepIndex, stepKind, stepFailed } = event;
    if (stepKind !== 'step') return;
    const keys = this.stored.get(executionId) ?? new Set();
    this.stored.set(executionId, keys.add(`${encodeURIComponent(stepName)}/${stepIndex}`));
    const what = stepFailed ? 'the failure' : 'the value';
    this.options.tell(`${what} of step "${stepName}" of ${this.nameOf(executionId)} is stored`, 'store');
  }

  /** Watches the handlers of a registry from now on, each once. */
  watch(tasks: TaskRegistry): void {
    for (const task of tasks.all()) {
      const { handler } = task;
      if (handler === undefined || this.watched.has(handler)) continue;
      const watching = (context: TaskContext): unknown => handler(this.begun(context));
      task.handler = watching as AnyHandler;
      this.watched.add(task.handler);
    }
  }

  private begun(context: TaskContext): TaskContext {
    const { executionId, attempt, resumes, step } = context;
    const again = resumes === 0 ? '' : `, continued ${resumes === 1 ? 'once' : `${resumes} times`}`;
    this.options.tell(`begins ${this.nameOf(executionId)}: attempt ${attempt}${again}`);
    const watching = (name: string, fn: unknown, ...rest: unknown[]): unknown => {
      const called = (inner: { readonly idempotencyKey: string }): unknown => {
        this.stepCalled(context, name, inner.idempotencyKey);
        return (fn as (given: unknown) => unknown)(inner);
      };
      return (step as (...args: unknown[]) => unknown)(name, typeof fn === 'function' ? called : fn, ...rest);
    };
    return Object.defineProperty(context, 'step', { value: watching });
  }

  /** A worker that has been overtaken cannot know what is stored; the owner must. */
  private stepCalled({ executionId, fence }: TaskContext, name: string, key: string): void {
    const of = this.nameOf(executionId);
    this.options.tell(`calls the function of step "${name}" of ${of}`);
    const isStored = this.stored.get(executionId)?.has(key.slice(executionId.length + 1));
    if (isStored && this.owners.get(executionId) === fence.leaseId)
      this.options.fail(new Error(`the function of step "${name}" of ${of} is called although its value is stored`));
  }
}
