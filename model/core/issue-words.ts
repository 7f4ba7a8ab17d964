/** What is wrong with a value, in words for people: those of the declaration, or in place of zod's own. */
import type { z } from 'zod';

/** Most characters of a name that a message repeats. */
const MAX_SHOWN = 60;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  // Zod takes no instance of a class for one.
  record: 'a plain object',
};

/** The first fault of a refused value. */
export function issueWords(issue: z.core.$ZodIssue | undefined): string {
  switch (issue?.code) {
    case 'unrecognized_keys':
      return `unknown member ${JSON.stringify(issue.keys[0]?.slice(0, MAX_SHOWN))}`;
    // Zod itself only says that a key is invalid.
    case 'invalid_key':
      return `the key ${issue.issues[0]?.message ?? 'is not possible'}`;
    case 'invalid_type':
      return `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'too_small':
      return atLeast(issue.origin, issue.minimum);
    case 'too_big':
      return atMost(issue.origin, issue.maximum);
    case 'invalid_union':
      return 'must be one of the known values';
    default:
      return issue?.message ?? 'invalid';
  }
}

const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'members', record: 'members' };

const atLeast = (origin: string, minimum: number | bigint): string =>
  UNITS[origin] === undefined ? `must be at least ${minimum}` : `must have ${minimum} or more ${UNITS[origin]}`;

const atMost = (origin: string, maximum: number | bigint): string =>
  UNITS[origin] === undefined ? `must be at most ${maximum}` : `must have ${maximum} or fewer ${UNITS[origin]}`;
