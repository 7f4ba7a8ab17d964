/** What is wrong with a value, in words for people: those of the declaration, or in place of zod's own. */
import type { z } from 'zod';

/** Most characters of a name that a message repeats. */
const MAX_SHOWN = 60;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
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
      return `must have ${issue.minimum} or more members`;
    case 'too_big':
      return `must have ${issue.maximum} or fewer members`;
    case 'invalid_union':
      return 'must be one of the known values';
    default:
      return issue?.message ?? 'invalid';
  }
}
