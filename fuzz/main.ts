/**
 * Fuzzing without end: `npm run fuzz -- [--seconds 60] [--runs N] [--seed N] [--path P] [--coverage] [--write]`.
 * `--coverage` prints the whole grid; `--write` writes it to docs/coverage.md. Ends with status 1 when something
 * differs, or when something that is declared was not reached.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sharedValkey } from '../test/support/valkey/index.js';
import { campaign, summaryOf } from './campaign.js';
import { coverageGrid, coveragePage } from './coverage-report.js';
import { fuzzEnvironment } from './environment.js';

const DEFAULT_SECONDS = 60;
const COVERAGE_PAGE = new URL('../docs/coverage.md', import.meta.url);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    coverage: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
for (const name of ['seconds', 'runs', 'seed', 'path'] as const) {
  const value = values[name];
  if (value !== undefined) process.env[`FUZZ_${name.toUpperCase()}`] = value;
}

const environment = fuzzEnvironment(DEFAULT_SECONDS);
console.log(`FUZZ_SEED=${environment.seed}${environment.path === undefined ? '' : ` FUZZ_PATH=${environment.path}`}`);
const { url } = await sharedValkey();
const result = await campaign({ ...environment, url, patienceMs: 0 });
console.log(summaryOf(result));
if (values.coverage) console.log(`\n${coverageGrid(result.coverage)}`);
if (values.write) {
  mkdirSync(new URL('.', COVERAGE_PAGE), { recursive: true });
  writeFileSync(COVERAGE_PAGE, coveragePage(result, environment.seed));
  console.log(`Written: ${fileURLToPath(COVERAGE_PAGE)}`);
}
const gaps = environment.path === undefined && result.failure === undefined ? [...result.coverage.missing(), ...result.coverage.undeclared()] : [];
for (const gap of gaps) console.error(gap);
if (result.failure !== undefined) console.error(`\n${result.failure.report}`);
process.exit(result.failure === undefined && gaps.length === 0 ? 0 : 1);
