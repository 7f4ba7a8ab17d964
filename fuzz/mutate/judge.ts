/** The judge of a mutant: the differential run alone, on a fixed budget of runs. */
import fc from 'fast-check';
import { seededUuids, type TestEngine } from '../../src/testing/index.js';
import { START_AT } from '../arena.js';
import { anyRun } from '../campaign.js';
import { corpus } from '../corpus.js';
import { Coverage } from '../coverage.js';
import { runDifferential } from '../differential.js';
import { Divergence } from '../divergence.js';
import type { Verdict } from './verdict.js';

/** How much is tried on one mutant. The same budget gives the same runs. */
export interface Budget {
  readonly runs: number;
  readonly seed: number;
  /** Whether the corpus is replayed after the random runs. Default true. */
  readonly corpus?: boolean;
  /** The number of the only run to make, from 1. Default: all of them. */
  readonly only?: number;
}

/** About a tenth of the runs that the differential test of `npm test` makes in its time. */
export const BUDGET: Budget = { runs: 250, seed: 1 };

const CHECKPOINT_EVERY = 10;

/**
 * Runs the differential against a server that holds the library to judge, or with a model to judge.
 * @param ended is called after each run
 */
export async function judge(engine: TestEngine, budget: Budget, ended: () => void): Promise<Verdict> {
  const runs = [
    ...fc.sample(anyRun, { numRuns: budget.runs, seed: budget.seed }),
    ...(budget.corpus === false ? [] : corpus().map(({ actions }) => actions)),
  ];
  // The first use of a family is recorded before it is used: mutants are not judged by it.
  await engine.backend.createBudget({ budgetId: engine.uuid() });
  const coverage = new Coverage();
  for (const [i, actions] of runs.entries()) {
    if (budget.only !== undefined && budget.only !== i + 1) continue;
    try {
      await engine.clear();
      const steps = await runDifferential(
        actions,
        [{ name: 'valkey', engine }],
        { checkpointEvery: CHECKPOINT_EVERY },
        START_AT,
        seededUuids(`run ${i}`),
      );
      for (const step of steps) coverage.note(step);
      const [undeclared] = coverage.undeclared();
      if (undeclared !== undefined) return { kind: 'killed', run: i + 1, by: `undeclared: ${undeclared}` };
      ended();
    } catch (error) {
      return {
        kind: 'killed',
        run: i + 1,
        by:
          error instanceof Divergence
            ? error.message
            : error instanceof Error
              ? `${error.name}: ${error.message.slice(0, 160)}`
              : String(error),
      };
    }
  }
  return { kind: 'survived' };
}
