/** The app: tasks, their runs, and workers, over any backend. Written with the `Backend` interface alone. */
import type { Backend } from '../backend.js';
import { systemClock, type Clock } from '../engine/clock.js';
import { startEngine, type Engine, type EngineOptions } from '../engine/engine.js';
import { newId } from '../engine/ids.js';
import type { Handler } from '../worker/handler.js';
import { resolveSettings, type WorkerSettings } from '../worker/options.js';
import { onTermination } from '../worker/signals.js';
import { TaskWorker, type Worker } from '../worker/worker.js';
import { Creator } from './creator.js';
import { AppClosedError, InvalidDefinitionError } from './errors.js';
import { knownOnly } from './known-only.js';
import { silentLogger, type Logger } from './logger.js';
import { resultWaiter } from './results.js';
import { KnownRun, StartedRun, type PendingRun, type Run } from './run.js';
import type { AnySchema, Schema } from './schema.js';
import {
  checkTaskOptions,
  ownLane,
  policyOf,
  type ManyRunOptions,
  type RunOptions,
  type Task,
  type TaskDefinition,
  type TaskOptions,
  type TaskReference,
} from './task.js';

export interface AppOptions {
  /** Where work is kept: `memory()` or `valkey(...)`; a promise of one will do. */
  readonly backend: Backend | PromiseLike<Backend>;
  /**
   * Scope of idempotency keys, recorded in every execution. It does not keep work apart: workers of other namespaces
   * that serve the same lane get it too. For isolation, give the backend a `prefix` of its own. Default `'default'`.
   */
  readonly namespace?: string;
  /** Where messages go; `console` and pino fit. Default nowhere. */
  readonly log?: Logger;
  /** Who creates executions, for those who look at them later. Default `'app'`. */
  readonly creatorIdentity?: string;
  /** Whether `close` closes the backend too. Default true. */
  readonly closeBackend?: boolean;
  /** Source of UUIDs; for tests. Default version 7, which sorts by time. */
  readonly ids?: () => string;
  /** Time and chance; for tests. */
  readonly clock?: Clock;
}

export interface WorkerOptions extends WorkerSettings {
  /** The tasks that it runs. Default all tasks of the app, those defined later too. */
  readonly tasks?: readonly TaskReference[];
  /**
   * The lanes that it serves, in turn. Default the lanes of its tasks, and those of tasks defined later when `tasks` is
   * not given. Work of other tasks on these lanes is handed back.
   */
  readonly lanes?: readonly string[];
  /** Whether the process runs the engine loop along with it. Default true; one loop serves all workers of the app. */
  readonly engine?: boolean | EngineOptions;
}

export interface App {
  /**
   * Defines a task. The kind of its executions is its name: keep it when the code moves. Types flow from the schemas,
   * or from the handler's own annotation: `({ input }: TaskContext<{ name: string }>) => ...`.
   *
   * Inputs and results travel as JSON, or as bytes when they are a `Uint8Array`: a `Date` arrives as a string, a `Map`
   * or a `Set` as `{}`, and what is `undefined` in an object is left out. A schema can make a `Date` of the text again.
   * @throws InvalidDefinitionError when the name is taken, or an option is unknown
   */
  task<Input, Output>(name: string, handler: Handler<Input, Output>): Task<Input, Output>;
  // The overload with an output schema comes first: it gives the handler's value the types that the schema expects.
  task<Input, Out, Output, In = Input>(
    name: string,
    options: TaskOptions<Schema<In, Input>, Schema<Out, Output>> & { readonly output: Schema<Out, Output> },
    handler: Handler<Input, Out>,
  ): Task<In, Output>;
  task<Input, Output, In = Input>(
    name: string,
    options: TaskOptions<Schema<In, Input>, undefined>,
    handler: Handler<Input, Output>,
  ): Task<In, Output>;
  // Adds nothing but better messages: it is the last overload that the compiler explains.
  task<Input, Out, Output, In = Input>(
    name: string,
    options: TaskOptions<Schema<In, Input>, Schema<Out, Output>>,
    handler: Handler<Input, NoInfer<Out>>,
  ): Task<In, Output>;

  /**
   * Starts a worker in this process; resolves when it is told of new work.
   * @throws InvalidDefinitionError for options that cannot work
   */
  worker(options?: WorkerOptions): Promise<Worker>;

  /** A run of any task by its execution id. Its result is not typed: `task.get` knows the type. */
  get(executionId: string): PendingRun<unknown>;

  /** The engine interface under this app. */
  backend(): Promise<Backend>;

  /** Drains the workers, ends every wait for a result, and closes the backend. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const APP_OPTIONS = {
  backend: true,
  namespace: true,
  log: true,
  creatorIdentity: true,
  closeBackend: true,
  ids: true,
  clock: true,
} as const;
const WORKER_OPTIONS = {
  tasks: true,
  lanes: true,
  engine: true,
  slots: true,
  claimAhead: true,
  capabilities: true,
  leaseTtlMs: true,
  drainTimeout: true,
  sweepInterval: true,
  handleSignals: true,
  workerId: true,
} as const;
const ENGINE_OPTIONS = { pollIntervalMs: true, pageSize: true, onError: true, clock: true } as const;

class FriendlyApp implements App {
  private readonly tasks = new Map<string, TaskDefinition>();
  private readonly workers = new Set<TaskWorker>();
  /** Workers that serve the lane of every task, also of those to come. */
  private readonly followers = new Set<TaskWorker>();
  private readonly creations = new Set<Promise<unknown>>();
  private readonly log: Logger;
  private readonly clock: Clock;
  private readonly ids: () => string;
  private readonly ready: Promise<Backend>;
  private creator: Promise<Creator> | undefined;
  private engine: Promise<Engine> | undefined;
  private stopSignals: (() => void) | undefined;
  private closing: Promise<void> | undefined;

  constructor(private readonly options: AppOptions) {
    const backend: unknown = (options as AppOptions | undefined)?.backend;
    if (typeof backend !== 'object' || backend === null)
      throw new InvalidDefinitionError(
        'An app needs a backend: app({ backend: memory() }) or app({ backend: valkey(...) })',
      );
    knownOnly<AppOptions>('The app', options, APP_OPTIONS);
    this.log = options.log ?? silentLogger;
    this.clock = options.clock ?? systemClock;
    this.ids = options.ids ?? newId;
    this.ready = Promise.resolve(options.backend);
    // Whoever needs the backend meets the error; without anybody it is met by close.
    this.ready.catch(() => undefined);
  }

  task(name: string, ...rest: [unknown, unknown?]): never {
    const [options, handler] = (rest.length === 1 ? [{}, rest[0]] : rest) as [
      TaskOptions<AnySchema, AnySchema>,
      Handler<unknown, unknown>,
    ];
    if (this.tasks.has(name)) throw new InvalidDefinitionError(`Task "${name}" is defined twice`);
    if (typeof handler !== 'function') throw new InvalidDefinitionError(`Task "${name}" has no handler`);
    checkTaskOptions(name, options);
    const definition: TaskDefinition = {
      name,
      handler,
      input: options.input,
      output: options.output,
      lane: options.lane ?? ownLane(name),
      priority: options.priority,
      policy: policyOf(options),
    };
    this.tasks.set(name, definition);
    for (const worker of this.followers) worker.serve(definition.lane);
    return this.taskOf(definition) as never;
  }

  private taskOf(definition: TaskDefinition): Task<unknown, unknown> {
    return {
      name: definition.name,
      lane: definition.lane,
      run: (input, options = {}) => this.run(definition, input, options),
      runMany: (inputs, options = {}) => this.runMany(definition, inputs, options),
      get: (executionId) => this.get(executionId),
    };
  }

  private run(definition: TaskDefinition, input: unknown, options: RunOptions): PendingRun<unknown> {
    return new StartedRun(this.tracked(this.creating().then((creator) => creator.create(definition, input, options))));
  }

  private async runMany(
    definition: TaskDefinition,
    inputs: readonly unknown[],
    options: ManyRunOptions<unknown>,
  ): Promise<Run<unknown>[]> {
    const creator = await this.creating();
    return this.tracked(
      creator.createMany(definition, inputs, (index) =>
        typeof options === 'function' ? options(inputs[index], index) : options,
      ),
    );
  }

  private async creating(): Promise<Creator> {
    if (this.closing !== undefined) throw new AppClosedError();
    const { namespace = 'default', creatorIdentity = 'app' } = this.options;
    this.creator ??= this.ready.then(
      (backend) => new Creator({ backend, namespace, creatorIdentity, ids: this.ids, clock: this.clock }),
    );
    return this.creator;
  }

  /** What is being stored is stored before the app closes. */
  private tracked<T>(creation: Promise<T>): Promise<T> {
    const settled = creation.then(
      () => undefined,
      () => undefined,
    );
    this.creations.add(settled);
    void settled.then(() => this.creations.delete(settled));
    return creation;
  }

  get(executionId: string): PendingRun<unknown> {
    return new StartedRun(this.ready.then((backend) => new KnownRun(backend, this.clock, executionId, true)));
  }

  async worker(options: WorkerOptions = {}): Promise<Worker> {
    knownOnly<WorkerOptions>('The worker', options, WORKER_OPTIONS);
    if (typeof options.engine === 'object')
      knownOnly<EngineOptions>('The engine of the worker', options.engine, ENGINE_OPTIONS);
    const settings = resolveSettings(options);
    const { tasks } = options;
    const names = tasks === undefined ? undefined : new Set(tasks.map(({ name }) => this.definitionNamed(name).name));
    const lanesNow = (): string[] => [
      ...new Set(options.lanes ?? (tasks ?? [...this.tasks.values()]).map(({ lane }) => lane)),
    ];
    if (lanesNow().length === 0)
      throw new InvalidDefinitionError('A worker needs a lane: define tasks first, or name lanes');
    const backend = await this.ready;
    if (this.closing !== undefined) throw new AppClosedError();
    const worker: TaskWorker = new TaskWorker({
      backend,
      settings,
      lanes: lanesNow(),
      ids: this.ids,
      clock: this.clock,
      log: this.log,
      taskNamed: (kind) => (names === undefined || names.has(kind) ? this.tasks.get(kind) : undefined),
      kinds: () => [...(names ?? this.tasks.keys())],
      onClosed: () => this.forget(worker),
    });
    this.workers.add(worker);
    if (tasks === undefined && options.lanes === undefined) this.followers.add(worker);
    if (settings.handleSignals) this.handleSignals();
    if (options.engine !== false)
      await this.startEngine(backend, typeof options.engine === 'object' ? options.engine : {});
    await worker.start();
    return worker;
  }

  /** A closed worker is kept by its user alone. */
  private forget(worker: TaskWorker): void {
    this.workers.delete(worker);
    this.followers.delete(worker);
  }

  private definitionNamed(name: string): TaskDefinition {
    const definition = this.tasks.get(name);
    if (definition === undefined) throw new InvalidDefinitionError(`Task "${name}" is not a task of this app`);
    return definition;
  }

  private async startEngine(backend: Backend, options: EngineOptions): Promise<void> {
    const onError = (error: unknown): void => this.log.warn('The engine loop met an error and goes on.', error);
    this.engine ??= startEngine(backend, { onError, clock: this.clock, ...options });
    await this.engine;
  }

  private handleSignals(): void {
    this.stopSignals ??= onTermination(
      (signal) => {
        this.log.info(`${signal}: draining; once more skips the wait.`);
        void this.close().catch((error: unknown) => this.log.error('Closing failed.', error));
      },
      () => {
        for (const worker of this.workers) void worker.drain({ timeout: 0 });
      },
    );
  }

  backend(): Promise<Backend> {
    return this.ready;
  }

  close(): Promise<void> {
    this.closing ??= Promise.resolve().then(() => this.closeNow());
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async closeNow(): Promise<void> {
    const backend = await this.ready;
    await Promise.all([...this.creations, ...[...this.workers].map((worker) => worker.drain())]);
    await (await this.engine)?.close();
    this.stopSignals?.();
    if (this.options.closeBackend === false) return;
    resultWaiter(backend).close();
    await backend.close();
  }
}

/**
 * An app over a backend.
 *
 * @throws InvalidDefinitionError without a backend, and for an option that is not known
 * @example
 * const a = app({ backend: memory() });
 * const hello = a.task('hello', ({ input }: TaskContext<{ name: string }>) => `Hello, ${input.name}!`);
 * await a.worker();
 * console.log(await hello.run({ name: 'World' }).result());
 * await a.close();
 */
export function app(options: AppOptions): App {
  return new FriendlyApp(options);
}
