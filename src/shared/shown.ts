/** How messages show the values of users. */
import { tried } from '../util/thrown.js';

/** Most characters of a value that a message repeats. */
const MAX_SHOWN = 60;

/** A value as a message shows it: short, and never what is inside an object. Nothing makes it throw. */
export function shown(value: unknown): string {
  if (typeof value === 'string') {
    const text = JSON.stringify(value);
    return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
  }
  if (value === null || ['undefined', 'number', 'boolean', 'bigint'].includes(typeof value)) return String(value);
  if (tried(() => Array.isArray(value)) === true) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
