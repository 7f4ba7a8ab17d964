/**
 * What an app does once it is used: it comes to its backend, creates runs, starts workers, and ends all of it. The
 * definitions of the tasks outlive it: a test gives an app another runtime, in memory and under a clock of its own.
 */
import type { Backend } from '../backend.js';
import { within, type Clock } from '../engine/clock.js';
import { startEngine, type Engine, type EngineOptions } from '../engine/engine.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { AppClosedError, InvalidDefinitionError, RunNotFoundError, RunOfAnotherTaskError } from '../shared/errors.js';
import { laneIdOf } from '../shared/lane-names.js';
import { guarded, silentLogger, type Logger } from '../shared/logger.js';
import type { TaskHandler } from '../worker/handler.js';
import { onTermination } from '../worker/signals.js';
import type { Worker } from '../worker/worker.js';
import { AppWorker } from './app-worker.js';
import { Connection, type BackendSource, type ConnectionState } from './connection.js';
import { Creator } from './creator.js';
import { findByOwnId } from './own-ids.js';
import type { TaskRegistry } from './registry.js';
import { ResultWaiter } from './results.js';
import { CALL_PATIENCE_MS } from './patience.js';
import { KnownRun, type Run, type RunSurroundings } from './run.js';
import { StuckWaits, type Place } from './stuck-waits.js';
import type { ManyRunOptions, RunOptions, TaskDefinition } from './task.js';
import { checkOwnId, taskNamed } from './task-checks.js';
import { checkWorkerOptions, settingsOf, type WorkerOptions } from './worker-options.js';

export interface RuntimeOptions {
  readonly source: BackendSource;
  readonly connect: 'wait' | 'fail';
  readonly closesBackend: boolean;
  readonly namespace: string;
  readonly creatorIdentity: string;
  readonly log: Logger;
  readonly ids: () => string;
  readonly clock: Clock;
  /** What workers are told that say nothing else. */
  readonly workerDefaults?: WorkerOptions | undefined;
}

/** What needs the backend, made when it is there. */
interface Equipment {
  readonly surroundings: RunSurroundings;
  readonly creator: Creator;
  readonly results: ResultWaiter;
}

export class AppRuntime {
  private readonly workers = new Set<AppWorker>();
  /** Workers that serve the lane of every task, also of those to come. */
  private readonly followers = new Set<AppWorker>();
  private readonly creations = new Set<Promise<unknown>>();
  private readonly log: Logger;
  private readonly connection: Connection;
  private readonly stuck: StuckWaits;
  private equipment: Equipment | undefined;
  private engine: Promise<Engine> | undefined;
  private stopSignals: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly options: RuntimeOptions,
    private readonly tasks: TaskRegistry,
  ) {
    const { source, connect, closesBackend, clock } = options;
    this.log = guarded(options.log);
    this.connection = new Connection({ source, mode: connect, closesBackend, clock, log: this.log });
    this.stuck = new StuckWaits(clock, this.log, async (executionId) =>
      this.connection.current?.readExecutionState({ executionId }),
    );
  }

  get connectionState(): ConnectionState {
    return this.connection.now;
  }

  backend(): Promise<Backend> {
    return this.connection.ready();
  }

  // Runs.

  run(task: TaskDefinition, input: unknown, options: RunOptions): Promise<Run<unknown>> {
    return this.tracked(async () => (await this.creating()).create(task, input, options));
  }

  runMany(task: TaskDefinition, inputs: readonly unknown[], options: ManyRunOptions<unknown>): Promise<Run<unknown>[]> {
    const optionsOf = (index: number): RunOptions =>
      typeof options === 'function' ? options(inputs[index], index) : options;
    return this.tracked(async () => (await this.creating()).createMany(task, inputs, optionsOf));
  }

  private async creating(): Promise<Creator> {
    if (this.closing !== undefined) throw new AppClosedError();
    return this.equipped(await this.connection.ready(CALL_PATIENCE_MS)).creator;
  }

  /**
   * What is being stored is stored before the app closes. The promise that is kept for this is not the one that is
   * given away: a failure of that one, with nobody to catch it, is to be an unhandled rejection.
   */
  private tracked<T>(create: () => Promise<T>): Promise<T> {
    const creation = create();
    const settled = creation.then(
      () => undefined,
      () => undefined,
    );
    this.creations.add(settled);
    void settled.then(() => this.creations.delete(settled));
    return creation.then((created) => created);
  }

  /** A run by the id that its caller gave it. @throws RunNotFoundError */
  async byOwnId(task: TaskDefinition, id: string): Promise<KnownRun<unknown>> {
    checkOwnId(`Run of task "${task.name}"`, id);
    const { surroundings } = this.equipped(await this.connection.ready());
    const executionId = await findByOwnId(surroundings.backend, this.options.namespace, task, id);
    if (executionId === undefined) throw new RunNotFoundError(`The run of task "${task.name}" with id "${id}"`);
    return new KnownRun(surroundings, executionId, true, task);
  }

  /** A run by its execution id. @param task the task that it is to be of, if that matters */
  async known(executionId: string, task?: TaskDefinition): Promise<KnownRun<unknown>> {
    const { surroundings } = this.equipped(await this.connection.ready());
    const run = new KnownRun<unknown>(surroundings, executionId, true, task);
    if (task === undefined) return run;
    const { executionKind } = await run.facts();
    if (executionKind !== task.name) throw new RunOfAnotherTaskError(executionId, executionKind, task.name);
    return run;
  }

  private equipped(backend: Backend): Equipment {
    if (this.equipment !== undefined) return this.equipment;
    const { namespace, creatorIdentity, ids, clock } = this.options;
    const results = new ResultWaiter(backend, clock, this.log);
    const onWait: RunSurroundings['onWait'] =
      this.log === silentLogger
        ? () => () => undefined
        : (executionId, task) => (task === undefined ? () => undefined : this.stuck.add(executionId, task));
    const surroundings = { backend, clock, results, onWait };
    const creator = new Creator({ surroundings, namespace, creatorIdentity, ids });
    this.equipment = { surroundings, creator, results };
    return this.equipment;
  }

  // Workers.

  async worker(given: WorkerOptions = {}): Promise<Worker> {
    checkWorkerOptions(given);
    const options = { ...this.options.workerDefaults, ...given };
    const settings = settingsOf(options);
    const chosen = options.tasks?.map((task) => this.tasks.named((task as { name?: unknown } | undefined)?.name));
    const lanes = options.lanes?.map((lane) => laneIdOf(lane, 'The worker', 'lanes'));
    const tasksNow = (): TaskDefinition[] => chosen ?? this.tasks.all();
    const lanesNow = (): string[] => [...new Set(lanes ?? tasksNow().map(({ laneId }) => laneId))];
    checkHandlers(tasksNow(), lanes);
    if (lanesNow().length === 0)
      throw new InvalidDefinitionError('A worker needs a lane: define tasks first, or name lanes');
    if (settings.handleSignals) this.handleSignals();
    const backend = await this.connection.ready();
    if (this.closing !== undefined) throw new AppClosedError();
    const place: Place = {
      slots: settings.slots,
      runs: (task) => lanesNow().includes(task.laneId) && tasksNow().includes(task),
    };
    const removePlace = this.stuck.addPlace(place);
    const worker = new AppWorker(
      {
        backend,
        settings,
        lanes: lanesNow(),
        ids: this.options.ids,
        clock: this.options.clock,
        log: this.log,
        taskNamed: (kind) => this.handlerFor(kind, chosen, place),
      },
      () => {
        removePlace();
        this.workers.delete(worker);
        this.followers.delete(worker);
      },
    );
    this.workers.add(worker);
    if (chosen === undefined && lanes === undefined) this.followers.add(worker);
    return this.started(worker, backend, options.engine ?? true);
  }

  private async started(worker: AppWorker, backend: Backend, engine: boolean | EngineOptions): Promise<AppWorker> {
    try {
      if (engine !== false) await this.startEngine(backend, typeof engine === 'object' ? engine : {});
      await worker.start();
    } catch (error) {
      void worker.drain({ timeout: 0 });
      throw error;
    }
    return worker;
  }

  private readonly watched = new WeakMap<Place, Map<string, TaskHandler>>();

  private handlerFor(
    kind: string,
    chosen: readonly TaskDefinition[] | undefined,
    place: Place,
  ): TaskHandler | undefined {
    const task = this.tasks.find(kind);
    if (task?.handler === undefined || (chosen !== undefined && !chosen.includes(task))) return undefined;
    if (this.log === silentLogger) return task as TaskHandler;
    let handlers = this.watched.get(place);
    if (handlers === undefined) this.watched.set(place, (handlers = new Map()));
    let handler = handlers.get(kind);
    if (handler === undefined)
      handlers.set(kind, (handler = this.stuck.watched(task as TaskDefinition & TaskHandler, place)));
    return handler;
  }

  /** A task has its handler: workers that take all tasks serve its lane from now on. */
  onHandled(task: TaskDefinition): void {
    for (const worker of this.followers) worker.serve(task.laneId);
  }

  private async startEngine(backend: Backend, options: EngineOptions): Promise<void> {
    const onError = (error: unknown): void => this.log.warn('The engine loop met an error and goes on.', error);
    this.engine ??= startEngine(backend, { onError, clock: this.options.clock, ...options });
    await this.engine;
  }

  private handleSignals(): void {
    this.stopSignals ??= onTermination(
      (signal) => {
        this.log.info(`${signal}: draining; once more skips the wait.`);
        void this.close().catch((error: unknown) => this.log.error('Closing failed.', error));
      },
      () => void this.close({ timeout: 0 }),
    );
  }

  // The end.

  close({ timeout }: { readonly timeout?: Duration | undefined } = {}): Promise<void> {
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
    if (this.closing === undefined) this.closing = this.closeNow(timeoutMs);
    // A second call with less time shortens the wait.
    else if (timeoutMs !== undefined) for (const worker of this.workers) void worker.drain({ timeout: timeoutMs });
    return this.closing;
  }

  private async closeNow(timeoutMs: number | undefined): Promise<void> {
    // Those who wait for a backend that is not there wait no longer.
    if (this.connection.current === undefined) this.connection.close();
    const drains = [...this.workers].map((worker) =>
      worker.drain(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    );
    const stored = Promise.all(this.creations);
    await Promise.all([timeoutMs === undefined ? stored : within(this.options.clock, timeoutMs, stored), ...drains]);
    const engine = await this.engine?.catch(() => undefined);
    await engine?.close();
    this.equipment?.results.close();
    this.stopSignals?.();
    const backend = this.connection.current;
    this.connection.close();
    if (this.options.closesBackend) await backend?.close();
  }
}

/** Names what is missing: work of a task without a handler would only be passed on. */
function checkHandlers(tasks: readonly TaskDefinition[], lanes: readonly string[] | undefined): void {
  const missing = tasks.filter(
    ({ handler, laneId }) => handler === undefined && (lanes === undefined || lanes.includes(laneId)),
  );
  const [first] = missing;
  if (first === undefined) return;
  throw new InvalidDefinitionError(
    `${missing.map(({ name }) => taskNamed(name)).join(', ')}: no handler in this process`,
    'Call task.handle(...) before the worker starts, or name the tasks that it is to run: app.worker({ tasks: [...] }).',
  );
}
