/** Keys of a partition beside its records: what they begin with, and their types. */
import { KEYS, SUFFIXES } from '../../lua/layout.js';
import { isShortId } from '../../model/short-id.js';

/** Types by what keys begin with; what does not end in a colon is all of the name. Longer beginnings come first. */
const TYPE_OF = {
  log: 'stream',
  header: 'hash',
  timers: 'zset',
  retention: 'zset',
  suspended: 'zset',
  ids: 'zset',
  lanes: 'set',
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
} as const satisfies Partial<Record<keyof typeof KEYS, string>>;

export type KeyFamily = keyof typeof TYPE_OF;

const FAMILIES = Object.keys(TYPE_OF) as KeyFamily[];

/** A key that is no record: its family, and what is special about it. */
export interface IndexKey {
  readonly family: KeyFamily;
  readonly rest: string;
}

/** What a name is the key of; nothing for records, and for what this build does not know. */
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

/** The execution that a key beside a record belongs to; nothing for keys of another kind. */
export function besideOf(name: string, kind: 'dependencies' | 'leading' | 'only'): string | undefined {
  const id = name.slice(0, SHORT_LENGTH);
  return name.slice(SHORT_LENGTH) === SUFFIXES[kind] && isShortId(id) ? id : undefined;
}

export const keyNameIn = ({ family, rest }: IndexKey): string => KEYS[family] + rest;

export const typeOf = (family: KeyFamily): string => TYPE_OF[family];
