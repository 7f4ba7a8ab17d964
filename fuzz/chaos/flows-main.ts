/**
 * `npm run chaos:flows`: flows with races and metered members under kills, freezes, a restart, a power cut and a failover. Exits with 1
 * after any violation.
 */
import { parseArgs } from 'node:util';
import { runFlowChaos } from './flows.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    flows: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    workers: { type: 'string', default: '4' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [seed, flows, seconds, workers] = [values.seed, values.flows, values.seconds, values.workers].map(Number) as [
  ...[number, number, number, number],
];
if (values.help || [seed, flows, seconds, workers].some((number) => !Number.isFinite(number) || number < 0)) {
  console.log('npm run chaos:flows -- [--seed N] [--flows 1000] [--seconds 60] [--workers 4] [--quiet]');
  process.exit(values.help ? 0 : 2);
}

console.log(`chaos of flows: --seed ${seed} --flows ${flows} --seconds ${seconds} --workers ${workers}`);
// The server processes do not keep this process alive, so it would end while it waits for them.
const alive = setInterval(() => undefined, 1_000);
const { violations, events, endings, runAgain } = await runFlowChaos({
  ...{ seed, flows, workers, durationMs: seconds * 1_000 },
  onFault: values.quiet ? () => undefined : console.log,
});
clearInterval(alive);
const members = [...endings].map(([situation, count]) => `${situation}: ${count}`).join(', ');
console.log(`${events} events; members ${members}; ${runAgain} flows were lost, and run again`);
for (const violation of violations) console.error(`VIOLATION ${violation}\n`);
console.log(
  violations.length === 0
    ? 'Every flow ended, no edge was lost or resolved twice, no slot and no reservation is left, and no worker wasted time.'
    : `--seed ${seed}`,
);
process.exit(violations.length === 0 ? 0 : 1);
