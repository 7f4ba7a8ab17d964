/** Options of a worker, with their defaults and bounds. */
import { DEFAULTS, LIMITS } from '../../model/limits.js';
import { SWEEP_INTERVAL_MS } from '../claiming/sweep.js';
import { shown } from '../shared/checks.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { InvalidDefinitionError } from '../shared/errors.js';

export interface WorkerSettings {
  /** How many handlers run at once. Default 1. */
  readonly slots?: number | undefined;
  /**
   * How many more runs the worker claims ahead of a free slot. Default 0: work stays in its queue until a slot is free.
   * With more, endings are batched too, and a round trip carries many runs; meant for short tasks.
   */
  readonly claimAhead?: number | undefined;
  /** The capabilities that the worker offers; it gets no work that needs others. Default none. */
  readonly capabilities?: readonly string[] | undefined;
  /**
   * Length of a lease, ms, 1 000 to 86 400 000; it is renewed every third of it. Default 10 000.
   * @deprecated Use `leaseTtl`, which takes `'10s'` and milliseconds.
   */
  readonly leaseTtlMs?: number | undefined;
  /** How long `drain` and `close` wait for running handlers. Default `'25s'`. */
  readonly drainTimeout?: Duration | undefined;
  /**
   * How long a handler may take to end after its `signal` is aborted. One that takes longer loses its slot, is counted
   * (`stats().stuck`) and reported (`handlerStuck`). A worker with more stuck handlers than slots stops claiming.
   * Default `'30s'`.
   */
  readonly abortGrace?: Duration | undefined;
  /**
   * How often the worker checks every partition without a wake, which bounds the cost of a lost wake. A check is one
   * read of the queues of up to 256 lanes; checks are spread over the interval. Where quotas or budgets are in use, each
   * lane is read too, at most 20 lanes and partitions a second. Default `'5s'`.
   */
  readonly sweepInterval?: Duration | undefined;
  /**
   * What happens to work on its lanes for which it has no task. `'leave'` (default): the worker never claims it, and it
   * waits for a worker that has the task. `'fail'`: the worker claims it and fails it with the category `no_handler`.
   */
  readonly onUnhandled?: 'leave' | 'fail' | undefined;
  /** Whether to drain on SIGTERM and SIGINT; a second signal skips the wait. It does not end the process. Default false. */
  readonly handleSignals?: boolean | undefined;
  /** The name of the worker's pool, stable across restarts. Default `'worker'`. */
  readonly workerId?: string | undefined;
}

export interface ResolvedSettings {
  readonly slots: number;
  readonly claimAhead: number;
  readonly capabilities: readonly string[];
  readonly leaseTtlMs: number;
  readonly drainTimeoutMs: number;
  readonly abortGraceMs: number;
  readonly sweepIntervalMs: number;
  readonly handleSignals: boolean;
  readonly onUnhandled: 'leave' | 'fail';
  readonly workerId: string;
}

const MAX_SLOTS = 10_000;
const MAX_CLAIM_AHEAD = 1_000;

/** The settings with their defaults. @throws InvalidDefinitionError for a number out of its bounds */
export function resolveSettings({
  slots = 1,
  claimAhead = 0,
  capabilities = [],
  leaseTtlMs = DEFAULTS.leaseTtlMs,
  abortGrace = '30s',
  drainTimeout = '25s',
  sweepInterval = SWEEP_INTERVAL_MS,
  handleSignals = false,
  onUnhandled = 'leave',
  workerId = 'worker',
}: WorkerSettings): ResolvedSettings {
  return {
    slots: bounded('slots', slots, 1, MAX_SLOTS),
    claimAhead: bounded('claimAhead', claimAhead, 0, MAX_CLAIM_AHEAD),
    capabilities,
    leaseTtlMs: bounded('leaseTtlMs', leaseTtlMs, LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs),
    abortGraceMs: durationMs(abortGrace),
    drainTimeoutMs: durationMs(drainTimeout),
    sweepIntervalMs: durationMs(sweepInterval),
    handleSignals,
    onUnhandled: unhandledChoice(onUnhandled),
    workerId,
  };
}

function unhandledChoice(choice: string): 'leave' | 'fail' {
  if (choice === 'leave' || choice === 'fail') return choice;
  throw new InvalidDefinitionError(`Worker option onUnhandled must be 'leave' or 'fail', not ${shown(choice)}`);
}

function bounded(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new InvalidDefinitionError(
    `Worker option ${name} must be a whole number from ${min} to ${max}, not ${shown(value)}`,
  );
}
