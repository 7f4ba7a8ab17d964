/** Options of a worker of an app. */
import { capabilities, workerId } from '../../../model/core/fields.js';
import { DEFAULTS, LIMITS } from '../../../model/limits.js';
import { checkTimerLoopOptions, TIMER_LOOP_OPTIONS, type TimerLoopOptions } from '../../engine/timer-loop.js';
import { checkBoolean, checkDuration, checkField, checkList, checkWhole } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { InvalidDefinitionError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { resolveSettings, type ResolvedSettings, type WorkerSettings } from '../../worker/options.js';
import type { TaskReference } from '../tasks/task.js';

/** The same members, each of which may also be `undefined`. */
type Undefinable<Members> = { readonly [Name in keyof Members]?: Members[Name] | undefined };

export interface WorkerOptions extends Undefinable<WorkerSettings> {
  /**
   * Length of a lease, 1 s to 1 day: when a worker dies, others take over its work after this time at the latest. A
   * lease is renewed every third of its length; a handler that blocks the event loop for more than two thirds loses its
   * work. Default `'10s'`.
   */
  readonly leaseTtl?: Duration | undefined;
  /** The tasks that it runs. Default all tasks of the app, including those defined later; each needs a handler. */
  readonly tasks?: readonly TaskReference[] | undefined;
  /**
   * The lanes that it serves, in turn. Default the lanes of its tasks, including tasks defined later unless `tasks` is
   * given. Work of other tasks on these lanes is left to other workers; see `onUnhandled`.
   */
  readonly lanes?: readonly string[] | undefined;
  /**
   * How long the worker counts as alive after a heartbeat, 1 s to 30 days, so that `app.workers()` lists it. It sends
   * one every third of that, in one call for all workers of the process. `false`: it does not register. Default
   * `'30s'`.
   */
  readonly liveness?: Duration | false | undefined;
  /** Whether the process also runs the timer loop. Default true; one loop serves all workers of the app. */
  readonly engine?: boolean | TimerLoopOptions | undefined;
}

const WORKER_OPTIONS = {
  tasks: true,
  lanes: true,
  engine: true,
  liveness: true,
  slots: true,
  claimAhead: true,
  capabilities: true,
  leaseTtl: true,
  leaseTtlMs: true,
  drainTimeout: true,
  abortGrace: true,
  sweepInterval: true,
  handleSignals: true,
  onUnhandled: true,
  workerId: true,
} as const;
const WHERE = 'The worker';

/** @throws InvalidDefinitionError for an unknown or invalid option; EngineError `invalid_input` for one of the timer loop */
export function checkWorkerOptions(options: WorkerOptions): void {
  knownOnly<WorkerOptions>(WHERE, options, WORKER_OPTIONS);
  checkBoolean(WHERE, 'handleSignals', options.handleSignals);
  if (typeof options.engine === 'object') {
    knownOnly<TimerLoopOptions>('The engine of the worker', options.engine, TIMER_LOOP_OPTIONS);
    checkTimerLoopOptions('app.worker({ engine })', options.engine);
  } else checkBoolean(WHERE, 'engine', options.engine);
  for (const list of ['tasks', 'lanes', 'capabilities'] as const) checkList(WHERE, list, options[list]);
  checkField(WHERE, 'capabilities', capabilities, options.capabilities);
  checkField(WHERE, 'workerId', workerId, options.workerId);
  checkDuration(WHERE, 'drainTimeout', options.drainTimeout, 0, LIMITS.maxDurationMs);
  checkDuration(WHERE, 'abortGrace', options.abortGrace, 0, LIMITS.maxDurationMs);
  checkDuration(WHERE, 'sweepInterval', options.sweepInterval, 1, LIMITS.maxDurationMs);
  if (options.liveness !== false)
    checkDuration(WHERE, 'liveness', options.liveness, LIMITS.minLivenessTtlMs, LIMITS.maxLivenessTtlMs);
  checkDuration(WHERE, 'leaseTtl', options.leaseTtl, LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs);
  if (options.leaseTtl !== undefined && options.leaseTtlMs !== undefined)
    throw new InvalidDefinitionError(`${WHERE}: give leaseTtl or leaseTtlMs, not both`);
  checkWhole(WHERE, 'leaseTtlMs', options.leaseTtlMs, LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs);
}

/** The settings of the worker itself, with their defaults. @throws InvalidDefinitionError for a number out of its bounds */
export function settingsOf(options: WorkerOptions): ResolvedSettings {
  const { leaseTtl, leaseTtlMs } = options;
  // An undefined option counts as absent.
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as WorkerSettings;
  const ttl = leaseTtl === undefined ? leaseTtlMs : durationMs(leaseTtl);
  return resolveSettings(ttl === undefined ? given : { ...given, leaseTtlMs: ttl });
}

/** How long the worker counts as alive without a heartbeat, ms; undefined if it does not register. */
export function livenessOf({ liveness = DEFAULTS.livenessTtlMs }: WorkerOptions): number | undefined {
  return liveness === false ? undefined : durationMs(liveness);
}
