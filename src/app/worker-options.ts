/** What a worker of an app can be told. */
import { capabilities as capabilitySet } from '../../model/core/fields.js';
import { LIMITS } from '../../model/limits.js';
import type { EngineOptions } from '../engine/engine.js';
import { checkDuration, checkList, checkWhole } from '../shared/checks.js';
import { InvalidDefinitionError } from '../shared/errors.js';
import { knownOnly } from '../shared/known-only.js';
import type { WorkerSettings } from '../worker/options.js';
import type { TaskReference } from './task.js';

export interface WorkerOptions extends WorkerSettings {
  /** The tasks that it runs. Default all tasks of the app, those defined later too; every one needs its handler. */
  readonly tasks?: readonly TaskReference[] | undefined;
  /**
   * The lanes that it serves, in turn. Default the lanes of its tasks, and those of tasks defined later when `tasks` is
   * not given. Work of other tasks on these lanes is handed back.
   */
  readonly lanes?: readonly string[] | undefined;
  /** Whether the process runs the engine loop along with it. Default true; one loop serves all workers of the app. */
  readonly engine?: boolean | EngineOptions | undefined;
}

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
const WHERE = 'The worker';

/** @throws InvalidDefinitionError for an option that is not known, or a value that cannot be meant */
export function checkWorkerOptions(options: WorkerOptions): void {
  knownOnly<WorkerOptions>(WHERE, options, WORKER_OPTIONS);
  if (typeof options.engine === 'object')
    knownOnly<EngineOptions>('The engine of the worker', options.engine, ENGINE_OPTIONS);
  for (const list of ['tasks', 'lanes', 'capabilities'] as const) checkList(WHERE, list, options[list]);
  if (options.capabilities !== undefined) {
    const parsed = capabilitySet.safeParse(options.capabilities);
    if (!parsed.success)
      throw new InvalidDefinitionError(
        `${WHERE}: capabilities: a capability ${parsed.error.issues[0]?.message ?? 'is invalid'}`,
      );
  }
  checkDuration(WHERE, 'drainTimeout', options.drainTimeout, 0, LIMITS.maxDurationMs);
  checkDuration(WHERE, 'sweepInterval', options.sweepInterval, 1, LIMITS.maxDurationMs);
  checkWhole(WHERE, 'leaseTtlMs', options.leaseTtlMs, LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs);
}
