/** The app: tasks, their runs, and workers, over any backend. Written with the `Backend` interface alone. */
import type { Backend } from '../backend/backend.js';
import { quotasOfApp, type AppQuotas } from './metering/quotas.js';
import { systemClock } from '../engine/clock.js';
import { newId } from '../engine/ids.js';
import type { DeadWorkerReport } from '../engine/workers.js';
import { shown } from '../shared/checks.js';
import { callSiteOf } from '../util/call-site.js';
import { copied } from '../util/copied.js';
import { printed } from '../util/printed.js';
import { InvalidDefinitionError } from '../shared/errors.js';
import { silentLogger } from '../shared/logger.js';
import type { AnySchema } from '../shared/schema.js';
import type { Worker } from '../worker/api.js';
import { appSignalsOf } from './signals/app-signals.js';
import { checkAppOptions, type AppOptions } from './app-options.js';
import { BudgetNames, billRows, type BillFilter, type BillRow } from './metering/bills.js';
import { BudgetOfApp, type AppBudget, type BudgetDefinition } from './metering/budget.js';
import type { ConnectionState } from './connection.js';
import type { RunCounts } from './operating/counts.js';
import type { Flow, FlowDeclaration, FlowInfo, FlowRunOptions, PendingFlowRun } from './flow/flow.js';
import type { FlowOutput } from './flow/nodes.js';
import { StartedFlow } from './flow/started-flow.js';
import { flowRows, type FlowQuery } from './operating/flow-list.js';
import { LaneOfApp, type AppLane } from './operating/lane.js';
import { deadLettersOf } from './operating/dead-letters.js';
import { TaskRegistry } from './tasks/registry.js';
import type { AppEventListener, AppEvents } from './results/end-listeners.js';
import type { PendingRun } from './runs/run.js';
import { runRowOf, type RunQuery, type RunRow } from './operating/run-list.js';
import { StartedRun } from './runs/started-run.js';
import type { WaitingFor } from './runs/started.js';
import { AppRuntime, type CloseOptions, type RuntimeOptions } from './runtime.js';
import type { OwnId, TaskDefinition, TaskOptions, UnhandledTask } from './tasks/task.js';
import {
  markWorkerDead,
  workerRows,
  type MarkDeadOptions,
  type WorkerFilter,
  type WorkerRow,
  type WorkerSource,
} from './operating/worker-list.js';
import type { WorkerOptions } from './workers/options.js';
import type { App } from './api.js';

/** By brand: another copy of this package can have made the app. */
const INSIDE = Symbol.for('flowfabric.app.inside');

class FriendlyApp implements App {
  static {
    printed(FriendlyApp.prototype, 'App');
  }

  readonly [INSIDE] = this;
  private readonly budgetNames = new BudgetNames();
  /** Calls of the engine, for parts of the app that outlive its runtime. */
  private readonly calls = {
    backend: (): Promise<Backend> => this.used.backend(),
    call: <T>(command: () => Promise<T>): Promise<T> => this.used.call(command),
  };
  readonly tasks = new TaskRegistry((task) => this.runtime?.onHandled(task));
  /** Created at the first use of the app. */
  private runtime: AppRuntime | undefined;

  /** The options of a runtime, from the options of the app as they were when it was made. */
  readonly runtimeOptions: RuntimeOptions;

  constructor(options: AppOptions) {
    checkAppOptions(options);
    const { backend, connect = 'wait', namespace = 'default', creatorIdentity = 'app', closeBackend = true } = options;
    const { log = silentLogger, ids = newId, clock = systemClock } = options;
    const closesBackend = closeBackend;
    this.runtimeOptions = { source: backend, connect, namespace, creatorIdentity, closesBackend, log, ids, clock };
    // Callers that use the app get the error; an app that is not used must not make it an unhandled rejection.
    if (backend instanceof Promise) backend.catch(() => undefined);
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
    const definedAt = callSiteOf(FriendlyApp.prototype.task);
    return this.taskOf(this.tasks.define(name, options === undefined ? {} : options, handler, definedAt)) as never;
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
          (wait) => this.used.knownFlow(flow, run, wait),
          this.waiting(isOwnId(run) ? `The run with id ${shown(run.id)}` : run),
        ) as PendingFlowRun<FlowOutput<Declared>>,
    };
  }

  private taskOf(task: TaskDefinition): UnhandledTask<unknown, unknown, unknown, unknown> {
    const made: UnhandledTask<unknown, unknown, unknown, unknown> = {
      name: task.name,
      lane: task.lane,
      run: (input, options = {}) => new StartedRun(this.used.run(task, input, options), this.waiting('The run'), task),
      runMany: (inputs, options = {}) => this.used.runMany(task, inputs, options),
      get: (run) =>
        isOwnId(run)
          ? new StartedRun(
              (wait) => this.used.byOwnId(task, run.id, wait),
              this.waiting(`The run with id ${shown(run.id)}`),
              task,
            )
          : new StartedRun((wait) => this.used.known(run, task, wait), this.waiting(run), task),
      handle: (handler) => {
        this.tasks.handle(task, handler, callSiteOf(made.handle));
        return made;
      },
    };
    return made;
  }

  get(executionId: string): PendingRun<unknown> {
    return new StartedRun((wait) => this.used.known(executionId, undefined, wait), this.waiting(executionId));
  }

  toJSON(): object {
    const connection = this.runtime?.connectionState.state ?? 'idle';
    return { namespace: this.runtimeOptions.namespace, connection, tasks: this.tasks.all().map(({ name }) => name) };
  }

  /** The context of a wait for a run that is not known yet. */
  private waiting(name: string): WaitingFor {
    return { name, clock: () => this.used.clock, fault: () => this.used.connectionState.error };
  }

  async worker(options?: WorkerOptions): Promise<Worker> {
    return this.used.worker(options);
  }

  runs(query: RunQuery = {}): AsyncIterable<RunRow> {
    return this.runRows(copied(query));
  }

  private async *runRows(query: RunQuery): AsyncGenerator<RunRow, void, undefined> {
    for await (const row of this.used.listed(query)) yield runRowOf(row);
  }

  flows(query: FlowQuery = {}): AsyncIterable<FlowInfo> {
    return flowRows({ namespace: this.runtimeOptions.namespace, ...this.calls }, copied(query));
  }

  counts(): Promise<RunCounts> {
    return this.used.counts();
  }

  lane(name: string): AppLane {
    return new LaneOfApp(name, this.calls);
  }

  workers(filter: WorkerFilter = {}): AsyncIterable<WorkerRow> {
    return workerRows(this.workerSource, copied(filter));
  }

  async markWorkerDead(id: string, options: MarkDeadOptions = {}): Promise<DeadWorkerReport> {
    return markWorkerDead(this.workerSource, id, options);
  }

  private get workerSource(): WorkerSource {
    return { namespace: this.runtimeOptions.namespace, ...this.calls };
  }

  budget(name: string, definition?: BudgetDefinition): AppBudget {
    const { namespace } = this.runtimeOptions;
    const budget = new BudgetOfApp(name, definition, {
      namespace,
      ...this.calls,
      warn: (what) => this.used.log.warn(what),
    });
    if (definition === undefined || definition.scope !== undefined) this.budgetNames.note(budget.id, name);
    return budget;
  }

  bills(filter: BillFilter = {}): AsyncIterable<BillRow> {
    return billRows({ names: this.budgetNames, ...this.calls }, copied(filter));
  }

  async on<Name extends keyof AppEvents>(name: Name, listener: AppEventListener<Name>): Promise<() => void> {
    return this.used.on(name, listener);
  }

  get quotas(): AppQuotas {
    return quotasOfApp({ tasks: this.tasks, namespace: this.runtimeOptions.namespace, ...this.calls });
  }

  readonly signals = appSignalsOf({ ids: () => this.used.ids(), ...this.calls });

  readonly deadLetters = deadLettersOf({
    rows: (...args) => this.used.rows(...args),
    clock: () => this.used.clock,
    ...this.calls,
  });

  backend(): Promise<Backend> {
    return this.used.whenOpen();
  }

  connection(): ConnectionState {
    return this.runtime?.connectionState ?? { state: 'idle', forMs: 0, failures: 0, error: undefined };
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
