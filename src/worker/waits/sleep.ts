/** `sleep` and `sleepUntil` of a handler's context. */
import { types } from 'node:util';
import { LIMITS } from '../../../model/limits.js';
import { checkDuration, refuse } from '../../shared/checks.js';
import { durationMs, type Duration } from '../../shared/duration.js';
import { knownOnly } from '../../shared/known-only.js';
import { checkWaitName } from './names.js';
import type { Waits } from './waits.js';

export interface SleepOptions {
  /**
   * Identifies this sleep when the handler runs again. Default `sleep`. Uses of one name are told apart by their order:
   * give names if the order can change from one version of the handler to the next.
   */
  readonly name?: string | undefined;
}

/** Sleeps for a duration, without a slot or a process. A sleep that is over is not repeated. */
export type Sleep = (duration: Duration, options?: SleepOptions) => Promise<void>;
/** Sleeps until a time. */
export type SleepUntil = (date: Date, options?: SleepOptions) => Promise<void>;

const OPTIONS = { name: true } as const;

function nameIn(what: string, options: SleepOptions): string {
  knownOnly<SleepOptions>(what, options, OPTIONS);
  const { name = 'sleep' } = options;
  checkWaitName(what, name);
  return name;
}

/** @throws InvalidDefinitionError for an invalid duration */
export function sleepOf(waits: () => Waits): Sleep {
  return (duration, options = {}) => {
    if (duration === undefined) throw refuse('sleep', 'the duration', 'given', duration);
    checkDuration('sleep', 'the duration', duration, 0, LIMITS.maxDurationMs);
    const ms = durationMs(duration);
    return waits().sleep(nameIn('sleep', options), (now) => now + ms);
  };
}

/** @throws InvalidDefinitionError for an invalid date */
export function sleepUntilOf(waits: () => Waits): SleepUntil {
  return (date, options = {}) => {
    if (!types.isDate(date) || Number.isNaN(date.getTime()))
      throw refuse('sleepUntil', 'the date', 'a valid Date', date);
    const at = date.getTime();
    return waits().sleep(nameIn('sleepUntil', options), () => at);
  };
}
