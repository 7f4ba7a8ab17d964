/** `npx tsx fuzz/meters/main.ts`: budgets and quotas while the processes that use them are killed; then the audit. */
import { parseArgs } from 'node:util';
import { runMeters } from './scenario.js';

const USAGE = 'npx tsx fuzz/meters/main.ts [--seconds 60] [--holders 50] [--workers 3] [--runs 1000] [--seed N]';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    seconds: { type: 'string', default: '60' },
    holders: { type: 'string', default: '50' },
    workers: { type: 'string', default: '3' },
    runs: { type: 'string', default: '1000' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const [seed, seconds, holders, workers, runs] = [
  ...[values.seed, values.seconds, values.holders, values.workers, values.runs],
].map(Number) as [number, number, number, number, number];

console.log(`meters: --seed ${seed} --seconds ${seconds} --holders ${holders} --workers ${workers} --runs ${runs}`);
// The server processes do not keep this process alive, so it would end while it waits for them.
const alive = setInterval(() => undefined, 1_000);
const result = await runMeters({ seed, durationMs: seconds * 1_000, holders, workers, runs });
clearInterval(alive);
const { kills, settlements, lapsed, faults } = result;
console.log(
  `${kills} processes killed, ${settlements} reservations settled, ${lapsed} lapsed, ${result.runs} runs completed`,
);
for (const fault of faults.slice(0, 20)) console.error(`VIOLATION ${fault}`);
console.log(
  faults.length === 0
    ? 'No limit exceeded, nothing paid twice or lost, no slot and no reservation left.'
    : `${faults.length} violations; --seed ${seed}`,
);
process.exit(faults.length === 0 ? 0 : 1);
