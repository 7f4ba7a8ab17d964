/** The workers of an app in this process, and the timer loop that runs beside them. */
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { SetAsideError } from '../../backend/set-aside.js';
import type { Clock } from '../../engine/clock.js';
import { warnUnlessLogged } from '../../engine/outage.js';
import { startTimerLoop, type TimerLoop, type TimerLoopOptions } from '../../engine/timer-loop.js';
import { refuse } from '../../shared/checks.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { laneIdOf } from '../../shared/lane-names.js';
import type { Logger } from '../../shared/logger.js';
import type { TaskHandler } from '../../worker/handler/handler.js';
import type { ResolvedSettings } from '../../worker/options.js';
import type { Worker } from '../../worker/api.js';
import { Repeats } from '../../util/repeats.js';
import { AppWorker } from './app-worker.js';
import { childRowsOf } from '../tasks/child.js';
import { Registrar } from './registrar.js';
import type { TaskRegistry } from '../tasks/registry.js';
import type { Place, StuckWaits } from './stuck-waits.js';
import type { TaskDefinition } from '../tasks/task.js';
import { nameOfTask, taskNamed } from '../tasks/task-checks.js';
import { checkWorkerOptions, livenessOf, settingsOf, type WorkerOptions } from './options.js';

export interface WorkersOptions {
  readonly tasks: TaskRegistry;
  readonly stuck: StuckWaits;
  readonly log: Logger;
  readonly ids: () => string;
  readonly clock: Clock;
  readonly namespace: string;
  /** A worker, or the engine loop, has set records aside. The log has it. */
  readonly onSetAside: (error: SetAsideError) => void;
}

/** A requested worker: its settings, tasks and lanes. */
export interface PlannedWorker {
  readonly settings: ResolvedSettings;
  /** The tasks that it runs; absent for all tasks, including later ones. */
  readonly chosen: readonly TaskDefinition[] | undefined;
  /** The ids of the lanes that it serves; absent for the lanes of its tasks. */
  readonly laneIds: readonly string[] | undefined;
  readonly engine: boolean | TimerLoopOptions;
  /** How long it counts as alive after its last heartbeat, ms; absent if it does not register. */
  readonly livenessTtlMs: number | undefined;
}

export class Workers {
  private readonly all = new Set<AppWorker>();
  /** Workers that serve the lane of every task, including later ones. */
  private readonly followers = new Set<AppWorker>();
  private engine: Promise<TimerLoop> | undefined;
  private readonly registrar: Registrar;

  constructor(private readonly options: WorkersOptions) {
    this.registrar = new Registrar(options);
  }

  /** The lanes and tasks of the options. @throws InvalidDefinitionError if they cannot work, or a handler is missing */
  plan(given: WorkerOptions, defaults: WorkerOptions = {}): PlannedWorker {
    checkWorkerOptions(given);
    const options = { ...defaults, ...given };
    const { tasks } = this.options;
    const chosen = options.tasks?.map((task, at) => {
      const name = nameOfTask(task);
      if (typeof name !== 'string') throw refuse('The worker', `tasks[${at}]`, 'a task', task);
      return tasks.named(name);
    });
    const laneIds = options.lanes?.map((lane) => laneIdOf(lane, 'The worker', 'lanes'));
    const planned: PlannedWorker = {
      settings: settingsOf(options),
      chosen,
      laneIds,
      engine: options.engine ?? true,
      livenessTtlMs: livenessOf(options),
    };
    checkHandlers(chosen ?? tasks.all(), laneIds);
    if (this.lanesOf(planned).length === 0)
      throw new InvalidDefinitionError('A worker needs a lane: define tasks first, or name lanes');
    return planned;
  }

  private tasksOf({ chosen }: PlannedWorker): readonly TaskDefinition[] {
    return chosen ?? this.options.tasks.all();
  }

  private lanesOf(planned: PlannedWorker): string[] {
    return [...new Set(planned.laneIds ?? this.tasksOf(planned).map(({ laneId }) => laneId))];
  }

  /** Starts a worker; resolves when it receives wakes for new work. @throws every error of the backend */
  async start(backend: Backend, planned: PlannedWorker): Promise<Worker> {
    const { stuck, ids, clock, log, tasks, namespace } = this.options;
    const childRow = childRowsOf({ tasks, namespace, backend, clock });
    const { settings, chosen, laneIds, engine } = planned;
    const place: Place = {
      slots: settings.slots,
      runs: (task) => this.lanesOf(planned).includes(task.laneId) && this.tasksOf(planned).includes(task),
      holders: () => worker.slotHolders(),
    };
    const removePlace = stuck.addPlace(place);
    const taskNamed = this.handlersFor(chosen);
    const lanes = this.lanesOf(planned);
    // Work that it cannot run is not claimed (ruling 27). The number of kinds in a claim is limited: with more tasks,
    // the worker claims any kind, and hands back work without a handler.
    const kinds = (): string[] | undefined => {
      if (settings.onUnhandled === 'fail') return undefined;
      const names = this.tasksOf(planned).flatMap(({ name, handler }) => (handler === undefined ? [] : [name]));
      return names.length > LIMITS.maxClaimKinds ? undefined : names;
    };
    const worker = new AppWorker(
      { backend, settings, lanes, ids, clock, log, taskNamed, kinds, childRow },
      this.registrar,
      () => {
        removePlace();
        this.all.delete(worker);
        this.followers.delete(worker);
      },
    );
    worker.on('error', ({ error }) => this.noteError(error));
    this.all.add(worker);
    if (chosen === undefined && laneIds === undefined) this.followers.add(worker);
    try {
      if (engine !== false) await this.startEngine(backend, typeof engine === 'object' ? engine : {});
      await Promise.all([worker.start(), this.register(backend, worker, planned, kinds)]);
    } catch (error) {
      void worker.drain({ timeout: 0 });
      throw error;
    }
    return worker;
  }

  /** Registers the worker in its namespace. */
  private async register(
    backend: Backend,
    worker: AppWorker,
    planned: PlannedWorker,
    kinds: () => readonly string[] | undefined,
  ): Promise<void> {
    const { settings, livenessTtlMs } = planned;
    // A worker that was drained while it started has left the registry already, and would not leave it again.
    if (livenessTtlMs === undefined || worker.stats().state !== 'running') return;
    const { workerId, capabilities, slots } = settings;
    await this.registrar.add(backend, {
      workerInstanceId: worker.workerInstanceId,
      registration: () => {
        const taken = kinds();
        return {
          ...{ workerId, capabilities: [...capabilities], slots, livenessTtlMs, lanes: this.lanesOf(planned) },
          // A worker without handlers registers for any kind: it gets its handlers later.
          kinds: taken === undefined || taken.length === 0 ? undefined : [...taken],
        };
      },
      load() {
        const { running, ahead, state } = worker.stats();
        return { running: running + ahead, draining: state !== 'running' };
      },
    });
  }

  /** The handlers of a worker by kind. */
  private handlersFor(chosen: readonly TaskDefinition[] | undefined): (kind: string) => TaskHandler | undefined {
    const { tasks } = this.options;
    return (kind) => {
      const task = tasks.find(kind);
      if (task?.handler === undefined || (chosen !== undefined && !chosen.includes(task))) return undefined;
      return task as TaskHandler;
    };
  }

  /** A task has its handler: workers that take all tasks serve its lane from now on, others its work where they serve it. */
  onHandled(task: TaskDefinition): void {
    for (const worker of this.all) {
      if (this.followers.has(worker)) worker.serve(task.laneId);
      else worker.tasksChanged(task.laneId);
      this.registrar.changed(worker.workerInstanceId);
    }
  }

  private async startEngine(backend: Backend, options: TimerLoopOptions): Promise<void> {
    const { log, clock } = this.options;
    const repeats = new Repeats(() => clock.now());
    const warn = (error: unknown): void => {
      if (!repeats.isRepeat(error)) warnUnlessLogged(backend, log, 'The timer loop had an error and continues.', error);
    };
    const onError = (error: unknown): void => {
      this.noteError(error);
      // Its promise is returned, so that the loop catches a rejection.
      return (options.onError ?? warn)(error);
    };
    const onClockJump = (ms: number): void =>
      log.warn(`The clock of the server jumped by ${ms} ms. Delays, leases and deadlines go by it.`);
    this.engine ??= startTimerLoop(backend, { onClockJump, clock, ...options, onError });
    try {
      await this.engine;
    } catch (error) {
      // The next worker tries again.
      this.engine = undefined;
      throw error;
    }
  }

  private noteError(error: unknown): void {
    if (error instanceof SetAsideError) this.options.onSetAside(error);
  }

  /** Drains all workers. @param timeoutMs how long their handlers get; default each worker's own time */
  async drain(timeoutMs: number | undefined): Promise<void> {
    const options = timeoutMs === undefined ? {} : { timeout: timeoutMs };
    await Promise.all([...this.all].map((worker) => worker.drain(options)));
  }

  /** Ends the engine loop. Never rejects. */
  async stopEngine(): Promise<void> {
    const engine = await this.engine?.catch(() => undefined);
    await engine?.close();
  }
}

/** Refuses tasks without a handler: the worker would only hand their work back. */
function checkHandlers(tasks: readonly TaskDefinition[], laneIds: readonly string[] | undefined): void {
  const missing = tasks.filter(
    ({ handler, laneId }) => handler === undefined && (laneIds === undefined || laneIds.includes(laneId)),
  );
  if (missing.length === 0) return;
  throw new InvalidDefinitionError(
    `${missing.map(({ name }) => taskNamed(name)).join(', ')}: no handler in this process`,
    'Call task.handle(...) before the worker starts, or name the tasks that it is to run: app.worker({ tasks: [...] }).',
  );
}
