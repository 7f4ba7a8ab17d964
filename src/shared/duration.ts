/** Durations as people write them: `'30s'`, `'5m'`, `'1.5h'`, or a number of milliseconds. */
import { InvalidDefinitionError } from './errors.js';
import { shown } from './shown.js';

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const UNIT_MS: ReadonlyMap<string | undefined, number> = new Map(Object.entries(UNITS_MS));

/** `ms`, `s`, `m`, `h` or `d` (24 hours). */
export type DurationUnit = keyof typeof UNITS_MS;

/** A number of milliseconds, or a number and its unit: `250`, `'250ms'`, `'30s'`, `'5m'`, `'1.5h'`, `'7d'`. */
export type Duration = number | `${number}${DurationUnit}`;

const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * A duration in whole milliseconds.
 *
 * @throws InvalidDefinitionError for anything that is not a duration of 0 ms or more
 */
export function durationMs(duration: Duration): number {
  const [, amount, unit] = typeof duration === 'string' ? (PATTERN.exec(duration) ?? []) : [];
  const ms = typeof duration === 'number' ? duration : Number(amount) * (UNIT_MS.get(unit) ?? NaN);
  const whole = Math.round(ms);
  if (!Number.isSafeInteger(whole) || ms < 0) {
    throw new InvalidDefinitionError(
      `${shown(duration)} is no duration; write milliseconds or "30s", "5m", "1.5h", "7d"`,
      'Correct the duration that the message names.',
    );
  }
  // Nothing below zero is nothing.
  return whole + 0;
}
