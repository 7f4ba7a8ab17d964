/**
 * The answers that the corpus reaches, found on the specification alone. The corpus must reach every declared answer, so
 * that each is compared on every machine in every run of the tests, whatever the random runs reach.
 */
import fc from 'fast-check';
import { seededUuids } from '../src/testing/index.js';
import type { Action } from './actions/index.js';
import { START_AT } from './arena.js';
import { anyRun } from './campaign.js';
import { corpus, keep } from './corpus.js';
import { Coverage } from './coverage.js';
import { runDifferential } from './differential.js';
import type { Step } from './divergence.js';
import { shrink } from './shrink.js';

/** Longest time for shortening one run, ms. */
const SHRINK_LIMIT_MS = 30_000;
/** Answers that one entry is kept for: few, so that entries stay short. */
const MAX_ANSWERS = 6;

/** The steps of a run on the specification. */
const stepsOf = (actions: readonly Action[]): Promise<Step[]> =>
  runDifferential(actions, [], { checkpointEvery: Number.POSITIVE_INFINITY }, START_AT, seededUuids('run'));

async function add(coverage: Coverage, actions: readonly Action[]): Promise<Coverage> {
  for (const step of await stepsOf(actions)) coverage.note(step);
  return coverage;
}

/** The answers that all entries of the corpus reach together. */
export async function coverageOfCorpus(): Promise<Coverage> {
  const coverage = new Coverage();
  for (const { actions } of corpus()) await add(coverage, actions);
  return coverage;
}

/**
 * Draws random runs, shortens each run that reaches a declared answer for the first time, and adds it to the corpus,
 * until all answers are reached or the time is over. Returns the missing answers.
 */
export async function extendCorpus(seed: number, timeMs: number): Promise<string[]> {
  const deadline = performance.now() + timeMs;
  const coverage = await coverageOfCorpus();
  for (let next = seed; performance.now() < deadline && coverage.missing().length > 0; next++) {
    const [actions] = fc.sample(anyRun, { seed: next, numRuns: 1 }) as [Action[]];
    const missing = coverage.missing();
    const reached = await reachedBy(actions, missing);
    if (reached.length === 0) continue;
    const shortened = await shrink(
      actions,
      undefined,
      async (fewer) => {
        if ((await reachedBy(fewer, reached)).length === reached.length) throw new Error('still reached');
      },
      SHRINK_LIMIT_MS,
    );
    await add(coverage, shortened.actions);
    const why = `reached here for the first time: ${reached.join(', ')}`;
    console.log(`${keep(why, shortened.actions)}: ${reached.join(', ')}`);
  }
  return coverage.missing();
}

/** The missing answers that a run reaches. */
async function reachedBy(actions: readonly Action[], missing: readonly string[]): Promise<string[]> {
  const left = new Set((await add(new Coverage(), actions)).missing());
  return missing.filter((answer) => !left.has(answer)).slice(0, MAX_ANSWERS);
}
