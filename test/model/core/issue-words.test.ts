/** The words for what is wrong with a value name what was meant. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { issueWords } from '../../../model/core/issue-words.js';

const wordsOf = (schema: z.ZodType, value: unknown): string => issueWords(schema.safeParse(value).error?.issues[0]);

test.each([
  [z.number().min(1), 0, 'must be at least 1'],
  [z.number().max(9), 10, 'must be at most 9'],
  [z.int(), 1.5, 'must be a whole number'],
  [z.number(), '1', 'must be a number'],
  [z.array(z.number()).min(1), [], 'must have 1 or more members'],
  [z.array(z.number()).max(1), [1, 2], 'must have 1 or fewer members'],
  [z.string().max(2), 'abc', 'must have 2 or fewer characters'],
  [z.string().min(1), '', 'must have 1 or more characters'],
  [z.enum(['a', 'b']), 'c', 'must be "a" or "b"'],
  [z.strictObject({ a: z.number() }), { a: 1, b: 2 }, 'unknown member "b"'],
])('words %#', (schema, value, words) => {
  expect(wordsOf(schema, value)).toBe(words);
});
