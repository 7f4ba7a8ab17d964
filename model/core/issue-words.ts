/** What is wrong with a value, in words for people. */
import type { z } from 'zod';

/** For an invalid key, the message of the key's schema: zod itself only says that a key is invalid. */
export function issueWords(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys') return `unknown member ${JSON.stringify(issue.keys[0])}`;
  if (issue?.code !== 'invalid_key') return issue?.message ?? 'invalid';
  return `the key ${issue.issues[0]?.message ?? 'is not possible'}`;
}
