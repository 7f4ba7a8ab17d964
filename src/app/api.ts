/** The app as its users see it. */
import type { Backend } from '../backend/backend.js';
import type { AppQuotas } from './metering/quotas.js';
import type { DeadWorkerReport } from '../engine/workers.js';
import type { Schema } from '../shared/schema.js';
import type { IfAcceptable, IfSendable, Travelled } from '../shared/travel.js';
import type { Handler } from '../worker/handler/handler.js';
import type { Worker } from '../worker/api.js';
import type { NoSignals, SignalSchemas } from '../worker/waits/wait-for.js';
import type { AppSignals } from './signals/app-signals.js';
import type { BillFilter, BillRow } from './metering/bills.js';
import type { AppBudget, BudgetDefinition, BudgetLimits, DimensionOf } from './metering/budget.js';
import type { ConnectionState } from './connection.js';
import type { RunCounts } from './operating/counts.js';
import type { Flow, FlowDeclaration, FlowInfo } from './flow/flow.js';
import type { FlowOutput, IfReturnable } from './flow/nodes.js';
import type { FlowQuery } from './operating/flow-list.js';
import type { AppLane } from './operating/lane.js';
import type { DeadLetters } from './operating/dead-letters.js';
import type { AppEventListener, AppEvents } from './results/end-listeners.js';
import type { PendingRun } from './runs/run.js';
import type { RunQuery, RunRow } from './operating/run-list.js';
import type { CloseOptions } from './runtime.js';
import type { Task, TaskOptions, UnhandledTask } from './tasks/task.js';
import type { MarkDeadOptions, WorkerFilter, WorkerRow } from './operating/worker-list.js';
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
   * called for every run of the flow with its input, which can determine the nodes. It returns nodes, or a value that
   * contains nodes; a group is given to a node first.
   * @throws InvalidDefinitionError when the name is taken
   * @example
   * const race = a.flow('race', (f, input: { prompt: string }) => {
   *   const answers = models.map((model) => f.run(ask, { model, prompt: input.prompt }));
   *   return f.run(judge, { answers: f.quorum(3, answers) });
   * });
   */
  flow<Input = undefined, Declared = unknown>(
    name: string,
    declare: FlowDeclaration<Input, Declared> & IfReturnable<Declared>,
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
   * Flows of this app's namespace that match; without a filter, all. They come in the order of their ids: oldest first,
   * except flows with an `id` of your own, which can stand anywhere (`createdAt` says when). Read page by page as you
   * iterate.
   * @throws InvalidDefinitionError for an invalid filter, when the iteration begins
   * @example for await (const { id, ownId, members } of app.flows({ flow: 'nightly', state: 'failed' })) ...
   */
  flows(query?: FlowQuery): AsyncIterable<FlowInfo>;

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
   * The spending on the budgets of the deployment: a row for each budget and day (UTC) with spending. Filter by the
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
   * The live workers of all processes, by id: their lanes and kinds, their start, and how many runs they hold, as of
   * their last heartbeat (every ten seconds by default). A filter selects the workers that can take such work.
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

  /** The engine interface under this app; opens the backend if it is not open, and waits until it is. */
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

/** `unknown` if an output schema describes the result; otherwise `never`, so that another overload applies. */
type IfDescribed<Out> = unknown extends Out ? never : unknown;
