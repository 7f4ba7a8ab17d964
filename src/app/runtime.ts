/**
 * The runtime of an app in use: it opens the backend, creates runs, starts workers, and closes them. The definitions of
 * the tasks outlive it: a test gives an app another runtime, in memory and with its own clock.
 */
import type { PublicState } from '../../model/execution/situation.js';
import { LIMITS } from '../../model/limits.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../backend/backend.js';
import type { SetAsideError } from '../backend/set-aside.js';
import { explain } from '../engine/explain.js';
import { newestFirst, nextFirst } from '../engine/lists.js';
import { withRetries } from '../engine/retry.js';
import { afterAndIo, within, type Clock } from '../engine/clock.js';
import { untilAborted } from '../shared/abort-listeners.js';
import { checkDuration, checkEventListener, needList, shown } from '../shared/checks.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { AppClosedError, ownIdNotFound, RunNotFoundError, RunOfAnotherTaskError } from '../shared/errors.js';
import { knownOnly } from '../shared/known-only.js';
import { guarded, silentLogger, type Logger } from '../shared/logger.js';
import { onTermination } from '../worker/shutdown/signals.js';
import type { Worker } from '../worker/api.js';
import { Connection, type BackendSource, type ConnectionState } from './connection.js';
import { countRuns, type RunCounts } from './operating/counts.js';
import { Creator } from './runs/creator.js';
import { APP_EVENTS, EndListeners, type AppEventListener, type AppEvents } from './results/end-listeners.js';
import type { FlowRunOptions } from './flow/flow.js';
import { FlowCreator } from './flow/flow-creator.js';
import { KnownFlowRun } from './flow/flow-run.js';
import { requestedFlow, type FlowDefinition } from './flow/requested-flow.js';
import { findByOwnId } from './runs/own-ids.js';
import type { TaskRegistry } from './tasks/registry.js';
import { ResultWaiter } from './results/results.js';
import { patiently, type Caller } from './patience.js';
import { requestedRun } from './runs/requested-run.js';
import { isByPriority, queryOf, queuedQueryOf, type RunFilter, type RunQuery } from './operating/run-list.js';
import { KnownRun, type Run, type RunSurroundings } from './runs/run.js';
import type { LookUpWait } from './runs/started.js';
import type { SignalledTasks } from './signals/signalling.js';
import { StuckWaits } from './workers/stuck-waits.js';
import type { ManyRunOptions, OwnId, RunOptions, TaskDefinition } from './tasks/task.js';
import { checkExecutionId, checkSoughtId } from './tasks/task-checks.js';
import type { WorkerOptions } from './workers/options.js';
import { Workers } from './workers/workers.js';

export interface RuntimeOptions {
  readonly source: BackendSource;
  readonly connect: 'wait' | 'fail';
  readonly closesBackend: boolean;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly log: Logger;
  readonly ids: () => string;
  readonly clock: Clock;
  /** Starts a worker in a process of its own; for simulations. Default in this process. */
  readonly startWorker?: ((options: WorkerOptions) => Promise<Worker>) | undefined;
  /** Defaults for workers. */
  readonly workerDefaults?: WorkerOptions | undefined;
  /** Longest pause between two looks for an end that nobody told, ms. Default a second. */
  readonly maxPollMs?: number | undefined;
  /** See `RunSurroundings`. */
  readonly standstill?: RunSurroundings['standstill'];
}

export interface CloseOptions {
  /**
   * How long running handlers, and runs being created, get to finish; handlers that still run a tenth before its end (at
   * most 2 s) are aborted. Work is then handed back, and the backend closed: with a server that does not answer, these
   * calls take longer, each up to `callTimeoutMs`. Default: each worker's `drainTimeout`.
   */
  readonly timeout?: Duration | undefined;
}

/** The parts that need the backend, made when it is open. */
interface Equipment {
  readonly surroundings: RunSurroundings;
  readonly creator: Creator;
  readonly flows: FlowCreator;
  readonly results: ResultWaiter;
}

export class AppRuntime {
  private readonly workers: Workers;
  private readonly creations = new Set<Promise<unknown>>();
  /** The user's, guarded. */
  readonly log: Logger;
  private readonly connection: Connection;
  private readonly stuck: StuckWaits;
  private readonly ends: EndListeners;
  private equipment: Equipment | undefined;
  /** Ends the readers of events and streams. */
  private readonly readers = new AbortController();
  private stopSignals: (() => void) | undefined;
  /** The signal that asked the process to end. */
  private endedBy: string | undefined;
  private closing: Promise<void> | undefined;
  /** Ends the wait for creations in flight. */
  private stopWaiting: () => void = () => undefined;

  constructor(
    private readonly options: RuntimeOptions,
    private readonly tasks: TaskRegistry,
  ) {
    const { source, connect, closesBackend, clock } = options;
    this.log = guarded(options.log);
    const onSetAside = (error: SetAsideError): void => this.ends.tellSetAside(error);
    this.connection = new Connection({ source, mode: connect, closesBackend, clock, log: this.log, onSetAside });
    this.stuck = new StuckWaits(clock, this.log, async (executionId) => {
      const { current } = this.connection;
      return current && explain(current, executionId);
    });
    const { namespace } = options;
    this.ends = new EndListeners({ backend: () => this.connection.whenOpen(), clock, log: this.log, namespace });
    this.workers = new Workers({
      ...{ tasks, stuck: this.stuck, log: this.log, ids: options.ids, clock, namespace },
      onSetAside,
    });
  }

  get clock(): Clock {
    return this.options.clock;
  }

  private get caller(): Caller {
    return { clock: this.clock, closing: this.readers.signal };
  }

  /** Mints an id. */
  ids(): string {
    return this.options.ids();
  }

  get connectionState(): ConnectionState {
    return this.connection.now;
  }

  backend(): Promise<Backend> {
    return this.connection.ready();
  }

  /** The open backend, however long its opening takes. */
  whenOpen(): Promise<Backend> {
    return this.connection.whenOpen();
  }

  // Runs.

  run(task: TaskDefinition, input: unknown, options: RunOptions): Promise<KnownRun<unknown>> {
    return this.tracked(async () => {
      this.checkOpen();
      const requested = await requestedRun(task, input, options);
      return (await this.creating()).create(requested);
    });
  }

  runMany(task: TaskDefinition, inputs: readonly unknown[], options: ManyRunOptions<unknown>): Promise<Run<unknown>[]> {
    return this.tracked(async () => {
      this.checkOpen();
      needList(`runMany of task ${shown(task.name)}`, 'the inputs', inputs);
      const requested = await Promise.all(
        // Not `map`, which skips the holes of a list. Asynchronous, because what `options` throws must not leave the
        // rejections of other inputs to nobody.
        Array.from(inputs, async (input, index) =>
          requestedRun(task, input, typeof options === 'function' ? options(input, index) : options),
        ),
      );
      return (await this.creating()).createMany(requested);
    });
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw new AppClosedError(this.endedBy);
  }

  private async creating(): Promise<Creator> {
    if (this.equipment !== undefined) return this.equipment.creator;
    return this.equipped(await this.connection.ready()).creator;
  }

  /**
   * Keeps a creation in flight, which the app awaits before it closes. The kept promise is not the returned one: a
   * failure that the caller does not catch must be an unhandled rejection.
   */
  private tracked<T>(create: () => Promise<T>): Promise<T> {
    const creation = create();
    const settled = creation.then(
      () => undefined,
      () => undefined,
    );
    this.creations.add(settled);
    void settled.then(() => this.creations.delete(settled));
    return creation.then(
      (created) => created,
      (error: unknown) => {
        this.readers.signal.throwIfAborted();
        throw error;
      },
    );
  }

  /** A run by the id that its caller gave it. @throws RunNotFoundError */
  async byOwnId(task: TaskDefinition, id: string, wait?: LookUpWait): Promise<KnownRun<unknown>> {
    checkSoughtId(`Run of task "${task.name}"`, id);
    return this.lookedUp(wait, async ({ surroundings }) => {
      const executionId = await findByOwnId(surroundings.backend, this.options.namespace, task, id);
      if (executionId === undefined) throw ownIdNotFound(task.name, id);
      return new KnownRun(surroundings, executionId, true, task);
    });
  }

  /** A run by its execution id. @param task the task that it must belong to, if any */
  async known(executionId: string, task: TaskDefinition | undefined, wait?: LookUpWait): Promise<KnownRun<unknown>> {
    checkExecutionId(task === undefined ? 'app.get' : `Run of task "${task.name}"`, 'task.get', executionId);
    return this.lookedUp(wait, async ({ surroundings }) => {
      const run = new KnownRun<unknown>(surroundings, executionId, true, task);
      if (task === undefined) return run;
      const info = await surroundings.backend.readExecutionInfo({ executionId });
      if (info === undefined) throw new RunNotFoundError(executionId);
      if (info.executionKind !== task.name) throw new RunOfAnotherTaskError(executionId, info.executionKind, task.name);
      return run;
    });
  }

  /** Looks something up, repeatedly while the store cannot be reached: for a call up to 10 s, for a wait until it ends. */
  private async lookedUp<Thing>(
    wait: LookUpWait | undefined,
    look: (equipment: Equipment) => Promise<Thing>,
  ): Promise<Thing> {
    const { clock } = this;
    if (wait === undefined) {
      const equipment = this.equipped(await this.connection.ready());
      return patiently(this.caller, () => look(equipment));
    }
    return untilAborted([wait.signal, this.readers.signal], async (signal) => {
      const equipment = this.equipped(await this.connection.whenOpen());
      const watched = async (): Promise<Thing> => {
        try {
          return await look(equipment);
        } catch (error) {
          wait.onFailure?.(error);
          throw error;
        }
      };
      return withRetries(clock, Infinity, watched, signal);
    });
  }

  // Flows.

  runFlow(flow: FlowDefinition, input: unknown, options: FlowRunOptions): Promise<KnownFlowRun<unknown>> {
    return this.tracked(async () => {
      this.checkOpen();
      const requested = await requestedFlow(flow, input, options, (name) => this.tasks.named(name));
      const { flows } = this.equipment ?? this.equipped(await this.connection.ready());
      return flows.create(requested);
    });
  }

  /** A run of a flow, by its id or by its own id. @throws RunNotFoundError */
  async knownFlow(flow: FlowDefinition, run: string | OwnId, wait?: LookUpWait): Promise<KnownFlowRun<unknown>> {
    if (typeof run === 'object' && run !== null) checkSoughtId(`Run of flow "${flow.name}"`, run.id);
    else checkExecutionId(`Run of flow "${flow.name}"`, 'flow.get', run, 'the id of a flow');
    return this.lookedUp(wait, async ({ surroundings, flows }) => {
      const flowId = typeof run === 'string' ? run : flows.ownIdOf(flow.name, run.id);
      const stored = await surroundings.backend.describeFlow({ flowId });
      if (stored === undefined) throw new RunNotFoundError(flowId);
      if (stored.flowKind !== flow.name) throw new RunOfAnotherTaskError(flowId, stored.flowKind, flow.name);
      return new KnownFlowRun(surroundings, flowId, true);
    });
  }

  // Lists.

  /** Executions that match, in one of these states or in any, newest first. @throws InvalidDefinitionError */
  async *rows(
    where: string,
    states: readonly (PublicState | undefined)[],
    filter: RunFilter,
  ): AsyncGenerator<ExecutionSummary, void, undefined> {
    const query = queryOf(where, this.options.namespace, filter);
    const queries = states.map((publicState) => ({ ...query, publicState: publicState ?? query.publicState }));
    const backend = await this.connection.ready();
    yield* newestFirst(backend, queries, { after: filter.after, call: (read) => this.call(read) });
  }

  /** Executions as `app.runs` lists them. @throws InvalidDefinitionError */
  async *listed(query: RunQuery): AsyncGenerator<ExecutionSummary, void, undefined> {
    if (!isByPriority('runs', query)) {
      const { order: _, ...filter } = query;
      return yield* this.rows('runs', [undefined], filter);
    }
    const queued = queuedQueryOf('runs', this.options.namespace, query);
    yield* nextFirst(await this.connection.ready(), queued, { call: (read) => this.call(read) });
  }

  async counts(): Promise<RunCounts> {
    return countRuns(await this.connection.ready(), (read) => this.call(read));
  }

  /** Makes a call that can be repeated, and retries it for a while if the store cannot be reached. */
  call<T>(command: () => Promise<T>): Promise<T> {
    this.checkOpen();
    return patiently(this.caller, command);
  }

  private equipped(backend: Backend): Equipment {
    if (this.equipment !== undefined) return this.equipment;
    const { namespace, creatorIdentity, ids, clock, standstill, maxPollMs } = this.options;
    const results = new ResultWaiter(backend, clock, this.log, maxPollMs);
    const onWait: RunSurroundings['onWait'] =
      this.log === silentLogger
        ? () => () => undefined
        : (executionId, task) => (task === undefined ? () => undefined : this.stuck.watchWait(executionId, task));
    const tasks: SignalledTasks = {
      declareSignals: () => this.tasks.all().some(({ signals = {} }) => Object.keys(signals).length > 0),
      taskOf: (info) => (info.namespace === namespace ? this.tasks.find(info.executionKind) : undefined),
    };
    const closing = this.readers.signal;
    const surroundings = { backend, clock, ids, tasks, results, closing, onWait, standstill, maxPollMs };
    const creator = new Creator({ surroundings, namespace, creatorIdentity, ids });
    const flows = new FlowCreator({ surroundings, namespace, creatorIdentity, ids });
    this.equipment = { surroundings, creator, flows, results };
    return this.equipment;
  }

  // Ends of runs.

  on<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void> {
    checkEventListener(APP_EVENTS, name, listener);
    this.checkOpen();
    return this.ends.add(name, listener);
  }

  // Workers.

  async worker(options: WorkerOptions = {}): Promise<Worker> {
    if (this.options.startWorker !== undefined) return this.options.startWorker(options);
    const planned = this.workers.plan(options, this.options.workerDefaults);
    // A signal can arrive while the backend opens.
    if (planned.settings.handleSignals) this.handleSignals();
    const backend = await this.connection.whenOpen();
    this.checkOpen();
    return this.workers.start(backend, planned);
  }

  /** Call this when a task got its handler. */
  onHandled(task: TaskDefinition): void {
    this.workers.onHandled(task);
  }

  private handleSignals(): void {
    this.stopSignals ??= onTermination(
      (signal) => {
        this.endedBy = signal;
        this.log.info(
          `${signal}: draining; send it again to hand back at once what still runs. The process ends when its handlers have.`,
        );
        void this.close().catch((error: unknown) => this.log.error('Closing failed.', error));
      },
      () => void this.close({ timeout: 0 }),
    );
  }

  // The end.

  close(options: CloseOptions = {}): Promise<void> {
    knownOnly<CloseOptions>('close', options, { timeout: true });
    const { timeout } = options;
    checkDuration('close', 'timeout', timeout, 0, LIMITS.maxDurationMs);
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
    const again = this.closing !== undefined;
    this.closing ??= this.closeNow(timeoutMs);
    // A second call with less time shortens the wait.
    if (again && timeoutMs !== undefined) {
      void this.workers.drain(timeoutMs);
      const cancel = afterAndIo(this.options.clock, timeoutMs, () => this.stopWaiting());
      this.closing.then(cancel, cancel);
    }
    return this.closing;
  }

  private async closeNow(timeoutMs: number | undefined): Promise<void> {
    // Ends the waits for a backend that has not opened.
    if (this.connection.current === undefined) this.connection.close();
    const timedOut = new Promise<void>((resolve) => (this.stopWaiting = resolve));
    const stored = Promise.race([Promise.all(this.creations), timedOut]);
    await Promise.all([
      timeoutMs === undefined ? stored : within(this.options.clock, timeoutMs, stored),
      this.workers.drain(timeoutMs),
    ]);
    await this.workers.stopEngine();
    const closed = new AppClosedError(this.endedBy);
    this.equipment?.results.close(closed);
    this.readers.abort(closed);
    this.ends.close();
    this.stopSignals?.();
    const backend = this.connection.current;
    this.connection.close();
    if (this.options.closesBackend) await backend?.close();
  }
}
