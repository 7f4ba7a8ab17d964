/**
 * The proof within `npm test`: the specification, the memory backend and a Valkey server, compared over the corpus and
 * over random runs. `FUZZ_SEED`, `FUZZ_PATH`, `FUZZ_RUNS` and `FUZZ_SECONDS` steer it.
 */
import { expect, test } from 'vitest';
import { sharedValkey } from '../test/support/valkey/index.js';
import { campaign, summaryOf } from './campaign.js';
import { fuzzEnvironment } from './environment.js';

const DEFAULT_SECONDS = 20;
/** Time for starting, replaying the corpus, and shrinking, ms. */
const SLACK_MS = 300_000;

const environment = fuzzEnvironment(DEFAULT_SECONDS);

test(
  `the three machines agree (FUZZ_SEED=${environment.seed})`,
  async () => {
    const { url } = await sharedValkey();
    const result = await campaign({ ...environment, url });
    console.log(`fuzz: FUZZ_SEED=${environment.seed}, ${summaryOf(result)}`);
    expect(result.failure?.report).toBeUndefined();
    expect(result.coverage.undeclared()).toEqual([]);
  },
  Number.isFinite(environment.timeMs) ? environment.timeMs + SLACK_MS : 3_600_000,
);
