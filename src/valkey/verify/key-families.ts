/** Index keys of a partition: their prefixes and types. */
import { KEYS, STAGED_SEPARATOR, SUFFIXES } from '../../../lua/layout.js';
import { keysOf } from '../../../model/core/tables.js';
import { isShortId } from '../../../model/short-id.js';

/**
 * Types by prefix; a prefix without a final colon is the whole name. Longer prefixes come before their own prefixes.
 */
const TYPE_OF = {
  log: 'stream',
  header: 'hash',
  timers: 'zset',
  retention: 'zset',
  suspended: 'zset',
  ids: 'zset',
  lanes: 'zset',
  quarantine: 'hash',
  tagged: 'string',
  leaf: 'list',
  queue: 'zset',
  queues: 'set',
  metered: 'zset',
  admissions: 'hash',
  slot: 'list',
  shelf: 'zset',
  shelved: 'list',
  counts: 'hash',
  budgets: 'zset',
  workers: 'zset',
  flows: 'zset',
  members: 'zset',
  edges: 'hash',
  kids: 'hash',
  readers: 'hash',
} as const satisfies Partial<Record<keyof typeof KEYS, string>>;

export type KeyFamily = keyof typeof TYPE_OF;

const FAMILIES = keysOf(TYPE_OF);

/** Names and types of the keys that a partition has one of each. */
export const SINGLE_KEYS: readonly (readonly [name: string, type: string])[] = FAMILIES.flatMap((family) =>
  KEYS[family].endsWith(':') ? [] : [[KEYS[family], TYPE_OF[family]] as const],
);

/** An index key: its family, and the rest of its name. */
export interface IndexKey {
  readonly family: KeyFamily;
  readonly rest: string;
}

/** Parses the name of an index key; undefined for records, and for keys that this build does not know. */
export function familyOf(name: string): IndexKey | undefined {
  for (const family of FAMILIES) {
    const start = KEYS[family];
    if (start.endsWith(':') ? name.startsWith(start) : name === start)
      return { family, rest: name.slice(start.length) };
  }
  return undefined;
}

/** Length of the short id of an execution. */
const SHORT_LENGTH = 22;

/** The execution of a key beside its record; undefined for keys of another kind. */
export function executionOfKey(name: string, kind: 'dependencies' | 'leading' | 'only'): string | undefined {
  const id = name.slice(0, SHORT_LENGTH);
  return name.slice(SHORT_LENGTH) === SUFFIXES[kind] && isShortId(id) ? id : undefined;
}

/** Whether a key is a long value of a step. Values that no call has taken over yet expire by themselves. */
export function isStepValue(name: string): boolean {
  const rest = name.slice(SHORT_LENGTH);
  return (
    rest.startsWith(SUFFIXES.value) &&
    !rest.startsWith(SUFFIXES.value + STAGED_SEPARATOR) &&
    isShortId(name.slice(0, SHORT_LENGTH))
  );
}

export const keyNameIn = ({ family, rest }: IndexKey): string => KEYS[family] + rest;

export const typeOf = (family: KeyFamily): string => TYPE_OF[family];
