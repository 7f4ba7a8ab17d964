/** The worker machine without end: `npm run fuzz:worker -- [--seconds 60] [--runs N] [--seed N] [--path N]`. */
import { parseArgs } from 'node:util';
import { fuzzEnvironment } from '../environment.js';
import { campaign, summaryOf } from './campaign.js';

const DEFAULT_SECONDS = 60;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log('npm run fuzz:worker -- [--seconds 60] [--runs N] [--seed N] [--path N]');
  process.exit(0);
}
for (const name of ['seconds', 'runs', 'seed', 'path'] as const) {
  const value = values[name];
  if (value !== undefined) process.env[`FUZZ_${name.toUpperCase()}`] = value;
}

const environment = fuzzEnvironment(DEFAULT_SECONDS);
console.log(`FUZZ_SEED=${environment.seed}${environment.path === undefined ? '' : ` FUZZ_PATH=${environment.path}`}`);
const result = await campaign(environment);
console.log(summaryOf(result));
if (result.failure !== undefined) console.error(`\n${result.failure.report}`);
process.exit(result.failure === undefined ? 0 : 1);
