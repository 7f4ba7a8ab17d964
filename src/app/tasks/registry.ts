/** The tasks of an app: their definitions, and the handlers of this process. */
import { types } from 'node:util';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { laneIdOf } from '../../shared/lane-names.js';
import type { AnySchema } from '../../shared/schema.js';
import type { Handler } from '../../worker/handler/handler.js';
import { policyOf } from './policy.js';
import { quotasOf } from '../metering/quota.js';
import { taskBudgetOf } from '../metering/task-budget.js';
import type { TaskDefinition, TaskOptions } from './task.js';
import type { FlowDefinition } from '../flow/requested-flow.js';
import { checkFlowName, checkTaskName, checkTaskOptions, taskNamed } from './task-checks.js';

/** What to do about a second definition: most often a module that is loaded again. */
const DEFINED_ONCE =
  'Choose another name; if the module is loaded again (a development server), keep the app and its tasks in `globalThis`.';

type AnyHandler = Handler<unknown, unknown>;

export class TaskRegistry {
  private tasks = new Map<string, TaskDefinition>();
  private flows = new Map<string, FlowDefinition>();

  /** @param onHandled called for every task that gets its handler */
  constructor(private readonly onHandled: (task: TaskDefinition) => void) {}

  /** @throws InvalidDefinitionError for a name that is taken, or an invalid option */
  define(
    name: unknown,
    options: TaskOptions<AnySchema, AnySchema>,
    handler: unknown,
    definedAt: TaskDefinition['definedAt'],
  ): TaskDefinition {
    checkTaskName(name);
    if (this.tasks.has(name)) throw new InvalidDefinitionError(`${taskNamed(name)} is defined twice`, DEFINED_ONCE);
    checkTaskOptions(name, options);
    const { lane = name } = options;
    const task: TaskDefinition = {
      name,
      lane,
      laneId: laneIdOf(lane, taskNamed(name), options.lane === undefined ? 'its name, which is its lane,' : 'lane'),
      input: options.input,
      output: options.output,
      signals: options.signals,
      priority: options.priority,
      policy: policyOf(options),
      quotas: quotasOf(taskNamed(name), name, options.quota),
      budget: taskBudgetOf(taskNamed(name), options.budget),
      handler: undefined,
      definedAt: undefined,
    };
    if (handler !== undefined) checkHandler(name, handler);
    this.tasks.set(name, task);
    if (handler !== undefined) this.handle(task, handler, definedAt);
    return task;
  }

  /** Gives a task its handler. @throws InvalidDefinitionError when it has one */
  handle(task: TaskDefinition, handler: unknown, definedAt: TaskDefinition['definedAt']): void {
    checkHandler(task.name, handler);
    if (task.handler !== undefined)
      throw new InvalidDefinitionError(`${taskNamed(task.name)} has a handler already`, DEFINED_ONCE);
    task.handler = handler;
    task.definedAt = definedAt;
    this.onHandled(task);
  }

  /** @throws InvalidDefinitionError for a name that is taken, or cannot be one */
  defineFlow(name: unknown, declare: FlowDefinition['declare']): FlowDefinition {
    checkFlowName(name);
    if (this.flows.has(name)) throw new InvalidDefinitionError(`Flow "${name}" is defined twice`, DEFINED_ONCE);
    if (typeof declare !== 'function')
      throw new InvalidDefinitionError(`Flow "${name}": its declaration must be a function`);
    const flow = { name, declare };
    this.flows.set(name, flow);
    return flow;
  }

  find(name: string): TaskDefinition | undefined {
    return this.tasks.get(name);
  }

  /** @throws InvalidDefinitionError for a name that no task of this app has */
  named(name: unknown): TaskDefinition {
    const task = this.tasks.get(name as string);
    if (name === undefined)
      throw new InvalidDefinitionError(
        'What was given is not a task',
        'Pass what `app.task(...)` returned, not a name.',
      );
    if (task === undefined) throw new InvalidDefinitionError(`${taskNamed(name)} is not a task of this app`);
    return task;
  }

  all(): TaskDefinition[] {
    return [...this.tasks.values()];
  }

  /** @returns a function that restores the definitions and handlers of this moment; for tests that share an app */
  keep(): () => void {
    const saved = [...this.tasks.values()].map((task) => [task, { ...task }] as const);
    const flows = new Map(this.flows);
    return () => {
      this.flows = new Map(flows);
      this.tasks = new Map(saved.map(([task]) => [task.name, task]));
      for (const [task, { handler, definedAt }] of saved) Object.assign(task, { handler, definedAt });
    };
  }
}

function checkHandler(name: string, handler: unknown): asserts handler is AnyHandler {
  if (typeof handler !== 'function')
    throw new InvalidDefinitionError(`${taskNamed(name)}: its handler must be a function`);
  // Calling a generator function returns an iterator and runs nothing.
  if (types.isGeneratorFunction(handler))
    throw new InvalidDefinitionError(
      `${taskNamed(name)}: its handler must not be a generator`,
      'Write `async ({ stream }) => ...`; what it would yield goes into `stream`.',
    );
}
