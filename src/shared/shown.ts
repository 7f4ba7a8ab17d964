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
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name = kindOf(value);
  if (Number.isNaN(tried(() => Date.prototype.getTime.call(value)))) return 'an invalid Date';
  if (name === 'Array') return 'a list';
  return name === 'Object' || !/^[A-Z][\w.]{0,40}$/.test(name)
    ? 'an object'
    : `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

/** Whether the value has members of its own, as options and tags do: not a list, a Map, a promise, a date or bytes. */
export const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && ['Object', 'Module'].includes(kindOf(value));

/** `Object`, `Array`, `Map`, `Promise`; empty for an object that cannot be asked. */
export const kindOf = (value: object): string => tried(() => Object.prototype.toString.call(value).slice(8, -1)) ?? '';
