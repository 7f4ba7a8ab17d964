/**
 * Fuzzing without end: `npm run fuzz -- [--seconds 60] [--runs N] [--seed N] [--path P] [--flows] [--coverage] [--write]`,
 * or `npm run fuzz -- --reach [--seconds 60] [--seed N]`.
 * `--flows` draws runs about flows of up to 60 members instead of runs about anything.
 * `--coverage` prints the whole grid, `--write` writes it to docs/coverage.md, and with either of them something declared
 * that was not reached ends the run with status 1, like a difference does.
 * `--reach` runs the specification alone, and adds to the corpus what it has to contain for every declared answer.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sharedValkey } from '../test/support/valkey/index.js';
import { campaign, summaryOf } from './campaign.js';
import { coverageGrid, coveragePage } from './coverage-report.js';
import { fuzzEnvironment } from './environment.js';
import { extendCorpus } from './reach.js';

const DEFAULT_SECONDS = 60;
const COVERAGE_PAGE = new URL('../docs/coverage.md', import.meta.url);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    flows: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    reach: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(
    'npm run fuzz -- [--seconds 60] [--runs N] [--seed N] [--path P] [--flows] [--coverage] [--write] | --reach',
  );
  process.exit(0);
}
for (const name of ['seconds', 'runs', 'seed', 'path'] as const) {
  const value = values[name];
  if (value !== undefined) process.env[`FUZZ_${name.toUpperCase()}`] = value;
}

const environment = fuzzEnvironment(DEFAULT_SECONDS);
console.log(`FUZZ_SEED=${environment.seed}${environment.path === undefined ? '' : ` FUZZ_PATH=${environment.path}`}`);
if (values.reach) {
  const missing = await extendCorpus(environment.seed, environment.timeMs);
  for (const answer of missing) console.error(`Not reached: ${answer}`);
  process.exit(missing.length === 0 ? 0 : 1);
}
const { url } = await sharedValkey();
const result = await campaign({ ...environment, url, about: values.flows ? 'flows' : 'anything' });
console.log(summaryOf(result));
if (values.coverage) console.log(`\n${coverageGrid(result.coverage)}`);
if (values.write) {
  mkdirSync(new URL('.', COVERAGE_PAGE), { recursive: true });
  writeFileSync(COVERAGE_PAGE, coveragePage(result, environment.seed));
  console.log(`Written: ${fileURLToPath(COVERAGE_PAGE)}`);
}
const gaps =
  environment.path === undefined && result.failure === undefined
    ? [...result.coverage.missing(), ...result.coverage.undeclared()]
    : [];
if (gaps.length > 0) {
  console.error(
    values.coverage || values.write
      ? 'Not reached:'
      : `Too short to reach everything that is declared (no fault by itself; --coverage insists): ${gaps.length} left.`,
  );
  if (values.coverage || values.write) for (const gap of gaps) console.error(`  ${gap}`);
}
if (result.failure !== undefined) console.error(`\n${result.failure.report}`);
process.exit(result.failure === undefined && (gaps.length === 0 || !(values.coverage || values.write)) ? 0 : 1);
