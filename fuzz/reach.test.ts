/** The corpus reaches everything that is declared, so every run of the tests compares it on every machine. */
import { expect, test } from 'vitest';
import { coverageOfCorpus } from './reach.js';

test('the corpus reaches every declared outcome, refusal and event', { timeout: 120_000 }, async () => {
  const coverage = await coverageOfCorpus();
  expect(coverage.undeclared()).toEqual([]);
  expect(coverage.missing(), 'not in fuzz/corpus; `npm run fuzz -- --reach` finds runs that reach it').toEqual([]);
});
