/** What is wrong with a value, in words for people. */
import type { z } from 'zod';

/** Of a key these are the words of what keys must be; zod says only that one is invalid. */
export function issueWords(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code !== 'invalid_key') return issue?.message ?? 'invalid';
  return `the key ${issue.issues[0]?.message ?? 'is not possible'}`;
}
