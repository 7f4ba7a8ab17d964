/**
 * The worker machine within `npm test`: the corpus, and new programs for some seconds. `FUZZ_SEED`, `FUZZ_PATH`,
 * `FUZZ_RUNS` and `FUZZ_SECONDS` configure it; `npm run fuzz:worker -- --seconds 600` runs longer.
 */
import { expect, test } from 'vitest';
import { fuzzEnvironment } from '../environment.js';
import { campaign, summaryOf } from './campaign.js';

const DEFAULT_SECONDS = 12;
/** Time for the corpus, and for shrinking a failure, ms. */
const SLACK_MS = 120_000;

const environment = fuzzEnvironment(DEFAULT_SECONDS);

test(
  `workers, loops and apps keep their promises (FUZZ_SEED=${environment.seed})`,
  async () => {
    const result = await campaign(environment);
    console.log(`worker machine: FUZZ_SEED=${environment.seed}, ${summaryOf(result)}`);
    expect(result.failure?.report).toBeUndefined();
  },
  Number.isFinite(environment.timeMs) ? environment.timeMs + SLACK_MS : 3_600_000,
);
