/** The app: tasks, their runs, and workers, over any backend. Written with the `Backend` interface alone. */
import type { Backend } from '../backend/backend.js';
import { quotasOfApp, type AppQuotas } from './metering/quotas.js';
import { systemClock } from '../engine/clock.js';
import { newId } from '../engine/ids.js';
import type { DeadWorkerReport } from '../engine/workers.js';
import { shown } from '../shared/checks.js';
import { printed } from '../util/printed.js';
import { InvalidDefinitionError } from '../shared/errors.js';
import { silentLogger } from '../shared/logger.js';
import type { AnySchema, Schema } from '../shared/schema.js';
import type { IfAcceptable, IfSendable, Travelled } from '../shared/travel.js';
import type { Handler } from '../worker/handler.js';
import type { Worker } from '../worker/api.js';
import type { NoSignals, SignalSchemas } from '../worker/waits/wait-for.js';
import { appSignalsOf, type AppSignals } from './signals/app-signals.js';
import { checkAppOptions, type AppOptions } from './app-options.js';
import { BudgetNames, billRows, type BillFilter, type BillRow } from './metering/bills.js';
import {
  BudgetOfApp,
  type AppBudget,
  type BudgetDefinition,
  type BudgetLimits,
  type DimensionOf,
} from './metering/budget.js';
import type { ConnectionState } from './connection.js';
import type { RunCounts } from './operating/counts.js';
import type { Flow, FlowDeclaration, FlowRunOptions, PendingFlowRun } from './flow/flow.js';
import type { FlowOutput } from './flow/nodes.js';
import { StartedFlow } from './flow/started-flow.js';
import { LaneOfApp, type AppLane } from './operating/lane.js';
import { deadLettersOf, type DeadLetters } from './operating/dead-letters.js';
import { TaskRegistry } from './tasks/registry.js';
import type { AppEventListener, AppEvents } from './results/end-listeners.js';
import type { PendingRun } from './runs/run.js';
import { runRowOf, type RunQuery, type RunRow } from './operating/run-list.js';
import { StartedRun } from './runs/started-run.js';
import type { WaitingFor } from './runs/started.js';
import { AppRuntime, type CloseOptions, type RuntimeOptions } from './runtime.js';
import type { OwnId, Task, TaskDefinition, TaskOptions, UnhandledTask } from './tasks/task.js';
import {
  markWorkerDead,
  workerRows,
  type MarkDeadOptions,
  type WorkerFilter,
  type WorkerRow,
  type WorkerSource,
} from './operating/worker-list.js';
import type { WorkerOptions } from './workers/options.js';

export interface App {
  /**
   * Defines a task. The kind of its executions is its name: keep it when the code moves. Types are inferred from the
   * schemas, or from the handler's annotation: `({ input }: TaskContext<{ name: string }>) => ...`. A task without a
   * handler can be run and inspected; `task.handle(...)` adds the handler in worker processes.
   *
   * Inputs and results travel as JSON, or as bytes when they are a `Uint8Array`: a `Date` arrives as a string,
   * `undefined` members of an object are left out, and a `Map`, an `Error` or a `RegExp` does not compile. A schema can
   * turn the string into a `Date` again.
   * @throws InvalidDefinitionError when the name is taken, or an option is unknown or invalid
   */
  task<Input, Output>(name: string): UnhandledTask<Input, Travelled<Output>, Travelled<Input>, Output>;
  task<Input, Out, Output, Parsed = Travelled<Input>, Signals extends SignalSchemas = NoSignals>(
    name: string,
    options: TaskOptions<Schema<Input, Parsed>, Schema<Out, Output>, Signals> & {
      readonly output: Schema<Out, Output>;
    } & IfAcceptable<Input, Parsed>,
  ): UnhandledTask<Input, Travelled<Output>, Parsed, Out, Signals>;
  task<Input, Output, Parsed = Travelled<Input>, Signals extends SignalSchemas = NoSignals>(
    name: string,
    options: TaskOptions<Schema<Input, Parsed>, undefined, Signals> & IfAcceptable<Input, Parsed>,
  ): UnhandledTask<Input, Travelled<Output>, Parsed, Output, Signals>;
  task<Parsed, Output, Input = Parsed>(
    name: string,
    handler: Handler<Input, Output, Parsed> & IfSendable<Input> & IfSendable<Output> & IfAcceptable<Input, Parsed>,
  ): Task<Input, Travelled<Output>>;
  // The overload with an output schema comes first: it gives the handler's value the types that the schema expects.
  task<Parsed, Out, Output, Input = Parsed, Signals extends SignalSchemas = NoSignals>(
    name: string,
    options: TaskOptions<Schema<Input, Parsed>, Schema<Out, Output>, Signals> & {
      readonly output: Schema<Out, Output>;
    } & IfAcceptable<Input, Parsed>,
    handler: Handler<Input, Out, Parsed, NoInfer<Signals>>,
  ): Task<Input, Travelled<Output>, Signals>;
  task<Parsed, Output, Input = Parsed, Signals extends SignalSchemas = NoSignals>(
    name: string,
    options: TaskOptions<Schema<Input, Parsed>, undefined, Signals> & IfAcceptable<Input, Parsed>,
    handler: Handler<Input, Output, Parsed, NoInfer<Signals>> & IfSendable<Input> & IfSendable<Output>,
  ): Task<Input, Travelled<Output>, Signals>;
  // Adds nothing but better messages: it is the last overload that the compiler explains.
  task<Parsed, Out, Output, Input = Parsed, Signals extends SignalSchemas = NoSignals>(
    name: string,
    options: TaskOptions<Schema<Input, Parsed>, Schema<Out, Output>, Signals> & IfAcceptable<Input, Parsed>,
    handler: Handler<Input, NoInfer<Out>, Parsed, NoInfer<Signals>> & IfDescribed<Out>,
  ): Task<Input, Travelled<Output>, Signals>;

  /**
   * Defines a flow: a graph of runs of this app's tasks, in which results are inputs of others. The declaration is
   * called for every run of the flow with its input, which can determine the nodes.
   * @throws InvalidDefinitionError when the name is taken
   * @example
   * const race = a.flow('race', (f, input: { prompt: string }) => {
   *   const answers = models.map((model) => f.run(ask, { model, prompt: input.prompt }));
   *   return f.run(judge, { answers: f.quorum(3, answers) });
   * });
   */
  flow<Input = undefined, Declared = unknown>(
    name: string,
    declare: FlowDeclaration<Input, Declared>,
  ): Flow<Input, FlowOutput<Declared>>;

  /**
   * Starts a worker in this process; resolves once it is notified of new work.
   * @throws InvalidDefinitionError for invalid options, and for tasks without a handler in this process
   */
  worker(options?: WorkerOptions): Promise<Worker>;

  /** A run of any task by its execution id. Its result is untyped; `task.get` gives the typed run. */
  get(executionId: string): PendingRun<unknown>;

  /**
   * Runs of this app's namespace that match, newest first or by priority; without a filter, all. The list is read page
   * by page as you iterate. A run that does not change meanwhile is listed once.
   * @throws InvalidDefinitionError for an invalid filter, when the iteration begins
   * @example
   * for await (const { id, failure } of app.runs({ state: 'failed', lane: 'mail' })) console.log(id, failure);
   */
  runs(query?: RunQuery): AsyncIterable<RunRow>;

  /**
   * Counts runs by state and lane: exact, at a cost that does not depend on their number. Lanes belong to the
   * deployment, so runs of other namespaces are counted too. Each partition is read at its own moment.
   */
  counts(): Promise<RunCounts>;

  /**
   * A lane, to pause, drain and resume it for all processes. Lanes belong to the deployment, like `counts`.
   * @throws InvalidDefinitionError for an invalid name
   * @example await app.lane('mail').pause({ reason: 'the provider is down' });
   */
  lane(name: string): AppLane;

  /**
   * A budget of the app's namespace by name, or any budget by id. With a definition, the first use creates it; an
   * existing budget is left unchanged. Handlers reserve and report with `budget(...)` of their context:
   * docs/budgets.md.
   * @throws InvalidDefinitionError for an invalid name or option
   * @example const tokens = a.budget('tokens', { limits: { tokens: { hard: 1_000_000 } }, resetEvery: '1d' });
   */
  budget<const Limits extends BudgetLimits = BudgetLimits>(
    name: string,
    definition?: BudgetDefinition<Limits>,
  ): AppBudget<DimensionOf<Limits>>;

  /**
   * What was spent on the budgets of the deployment: a row for each budget and day (UTC) with spending. Filter by the
   * `scope` of the budgets. Days are kept for 400 days.
   * @throws InvalidDefinitionError for an invalid filter, when the iteration begins
   * @example for await (const { scope, date, spent } of a.bills({ scope: 'tenant' })) console.log(scope.id, date, spent);
   */
  bills(filter?: BillFilter): AsyncIterable<BillRow>;

  /**
   * Calls the listener when a run or a flow of this app's namespace ends in any process. Resolves with a function that
   * removes the listener; no end after that is missed, even while connections are lost. Errors that a listener throws
   * go to the log. To continue after a restart of this process, use `Subscriptions` of `flowfabric/engine`.
   * @throws InvalidDefinitionError for an unknown event or a listener that is not a function; AppClosedError
   * @example
   * await app.on('failed', ({ id, task, failure }) => alert(`${task} ${id}: ${failure.message}`));
   */
  on<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void>;

  /**
   * The live workers of all processes, by id: what they serve, since when, and how many runs they hold, as of their
   * last heartbeat (every ten seconds by default). With a filter, those that can take such work.
   * @throws InvalidDefinitionError for an invalid filter, when the iteration begins
   * @example
   * for await (const { id, lanes, running, slots } of app.workers({ lane: 'mail' })) console.log(id, lanes, running, slots);
   */
  workers(filter?: WorkerFilter): AsyncIterable<WorkerRow>;

  /**
   * Marks a worker as dead, so that `workers()` no longer lists it. With `revoke`, its leases are revoked and other
   * workers continue its runs at once. The call can be repeated. A worker that is alive after all loses its leases, and
   * registers again with its next heartbeat.
   * @throws InvalidDefinitionError, AppClosedError, EngineError
   */
  markWorkerDead(id: string, options?: MarkDeadOptions): Promise<DeadWorkerReport>;

  /** Runs that failed without further retries, or expired. */
  readonly deadLetters: DeadLetters;

  /** Current use of the quotas of tasks, see `TaskOptions.quota`. */
  readonly quotas: AppQuotas;

  /**
   * Delivers signals by the envelopes that handlers hand out, and rotates the keys that sign them. To a run with a
   * known id, use `run.signal`.
   */
  readonly signals: AppSignals;

  /** The engine interface under this app; opens the backend if it is not open. */
  backend(): Promise<Backend>;

  /** The current state of the connection to the backend. */
  connection(): ConnectionState;

  /**
   * Drains the workers, rejects pending waits for results, and closes the backend. Returns soon and without an error if
   * the backend never opened. A second call with a shorter timeout shortens the wait.
   */
  close(options?: CloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** `unknown` where an output schema says what the handler gives; else nothing fits, and another overload has to. */
type IfDescribed<Out> = unknown extends Out ? never : unknown;

/** By brand: another copy of this package can have made the app. */
const INSIDE = Symbol.for('flowfabric.app.inside');

class FriendlyApp implements App {
  static {
    printed(FriendlyApp.prototype, 'App');
  }

  readonly [INSIDE] = this;
  private readonly budgetNames = new BudgetNames();
  readonly tasks = new TaskRegistry((task) => this.runtime?.onHandled(task));
  /** Created at the first use of the app. */
  private runtime: AppRuntime | undefined;

  constructor(private readonly options: AppOptions) {
    checkAppOptions(options);
    // Callers that use the app get the error; an app that is not used must not make it an unhandled rejection.
    if (options.backend instanceof Promise) options.backend.catch(() => undefined);
  }

  /** The options of a runtime, from the options of the app. */
  get runtimeOptions(): RuntimeOptions {
    const {
      backend,
      connect = 'wait',
      namespace = 'default',
      creatorIdentity = 'app',
      closeBackend = true,
    } = this.options;
    const { log = silentLogger, ids = newId, clock = systemClock } = this.options;
    return { source: backend, connect, namespace, creatorIdentity, closesBackend: closeBackend, log, ids, clock };
  }

  get isUsed(): boolean {
    return this.runtime !== undefined;
  }

  /** Replaces the runtime; without one, the next use creates one. For tests. */
  replaceRuntime(options: RuntimeOptions | undefined): void {
    this.runtime = options && new AppRuntime(options, this.tasks);
  }

  private get used(): AppRuntime {
    this.runtime ??= new AppRuntime(this.runtimeOptions, this.tasks);
    return this.runtime;
  }

  task(name: string, ...rest: [unknown?, unknown?]): never {
    const [options, handler] = (typeof rest[0] === 'function' && rest.length === 1 ? [{}, rest[0]] : rest) as [
      TaskOptions<AnySchema, AnySchema> | undefined,
      unknown,
    ];
    if (rest.length > 1 && typeof rest[0] === 'function')
      throw new InvalidDefinitionError(
        `Task "${name}": got a function: options come before the handler`,
        "Write app.task('name', { ... }, handler).",
      );
    if (rest.length > 1 && handler === undefined)
      throw new InvalidDefinitionError(`Task "${name}" has no handler: leave the argument out, or pass a function`);
    return this.taskOf(this.tasks.define(name, options === undefined ? {} : options, handler)) as never;
  }

  flow<Input, Declared>(name: string, declare: FlowDeclaration<Input, Declared>): Flow<Input, FlowOutput<Declared>> {
    const flow = this.tasks.defineFlow(name, declare as FlowDeclaration<unknown, unknown>);
    return {
      name,
      run: (input?: Input, options: FlowRunOptions = {}) =>
        new StartedFlow(
          this.used.runFlow(flow, input, options),
          this.waiting(`The run of flow ${shown(flow.name)}`),
        ) as PendingFlowRun<FlowOutput<Declared>>,
      get: (run) =>
        new StartedFlow(
          () => this.used.knownFlow(flow, run),
          this.waiting(isOwnId(run) ? `The run with id ${shown(run.id)}` : run),
        ) as PendingFlowRun<FlowOutput<Declared>>,
    };
  }

  private taskOf(task: TaskDefinition): UnhandledTask<unknown, unknown, unknown, unknown> {
    const made: UnhandledTask<unknown, unknown, unknown, unknown> = {
      name: task.name,
      lane: task.lane,
      run: (input, options = {}) => new StartedRun(this.used.run(task, input, options), this.waiting('The run')),
      runMany: (inputs, options = {}) => this.used.runMany(task, inputs, options),
      get: (run) =>
        isOwnId(run)
          ? new StartedRun(() => this.used.byOwnId(task, run.id), this.waiting(`The run with id ${shown(run.id)}`))
          : new StartedRun(() => this.used.known(run, task), this.waiting(run)),
      handle: (handler) => {
        this.tasks.handle(task, handler);
        return made;
      },
    };
    return made;
  }

  get(executionId: string): PendingRun<unknown> {
    return new StartedRun(() => this.used.known(executionId), this.waiting(executionId));
  }

  toJSON(): object {
    const connection = this.runtime?.connectionState.state ?? 'idle';
    return { namespace: this.runtimeOptions.namespace, connection, tasks: this.tasks.all().map(({ name }) => name) };
  }

  /** What a wait needs before the run is known. */
  private waiting(name: string): WaitingFor {
    return { name, clock: () => this.used.clock, trouble: () => this.used.connectionState.error };
  }

  async worker(options?: WorkerOptions): Promise<Worker> {
    return this.used.worker(options);
  }

  async *runs(query: RunQuery = {}): AsyncGenerator<RunRow, void, undefined> {
    for await (const row of this.used.listed(query)) yield runRowOf(row);
  }

  counts(): Promise<RunCounts> {
    return this.used.counts();
  }

  lane(name: string): AppLane {
    const source = {
      backend: () => this.used.backend(),
      call: <T>(command: () => Promise<T>) => this.used.call(command),
    };
    return new LaneOfApp(name, source);
  }

  workers(filter: WorkerFilter = {}): AsyncIterable<WorkerRow> {
    return workerRows(this.workerSource, filter);
  }

  async markWorkerDead(id: string, options: MarkDeadOptions = {}): Promise<DeadWorkerReport> {
    return markWorkerDead(this.workerSource, id, options);
  }

  private get workerSource(): WorkerSource {
    return {
      namespace: this.runtimeOptions.namespace,
      backend: () => this.used.backend(),
      call: (command) => this.used.call(command),
    };
  }

  budget(name: string, definition?: BudgetDefinition): AppBudget {
    const budget = new BudgetOfApp(name, definition, {
      namespace: this.options.namespace ?? 'default',
      backend: () => this.used.backend(),
      call: (command) => this.used.call(command),
    });
    if (definition === undefined || definition.scope !== undefined) this.budgetNames.note(budget.id, name);
    return budget;
  }

  bills(filter: BillFilter = {}): AsyncIterable<BillRow> {
    const source = {
      names: this.budgetNames,
      backend: () => this.used.backend(),
      call: <T>(command: () => Promise<T>) => this.used.call(command),
    };
    return billRows(source, filter);
  }

  async on<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void> {
    return this.used.on(name, listener);
  }

  get quotas(): AppQuotas {
    return quotasOfApp({
      tasks: this.tasks,
      namespace: this.runtimeOptions.namespace,
      backend: () => this.used.backend(),
      call: (command) => this.used.call(command),
    });
  }

  readonly signals = appSignalsOf({
    backend: () => this.used.backend(),
    call: (command) => this.used.call(command),
    ids: () => this.used.ids(),
  });

  readonly deadLetters = deadLettersOf({
    rows: (...args) => this.used.rows(...args),
    backend: () => this.used.backend(),
    call: (command) => this.used.call(command),
  });

  backend(): Promise<Backend> {
    return this.used.backend();
  }

  connection(): ConnectionState {
    return this.runtime?.connectionState ?? { state: 'idle', failures: 0, error: undefined };
  }

  async close(options?: CloseOptions): Promise<void> {
    await this.used.close(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const isOwnId = (run: string | OwnId): run is OwnId => typeof run === 'object' && run !== null;

/** The implementation of an app, for tests of apps; undefined for any other value. */
export function insideOf(app: object): FriendlyApp | undefined {
  return (app as Partial<FriendlyApp> | null)?.[INSIDE];
}

/**
 * An app over a backend.
 *
 * @throws InvalidDefinitionError without a backend, and for an unknown or invalid option
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
