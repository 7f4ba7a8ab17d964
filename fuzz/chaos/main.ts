/**
 * `npm run chaos`: worker processes on one server, under kills, freezes, restarts, power cuts and a failover, and then
 * the audit. Exits with 1 after any violation.
 */
import { parseArgs } from 'node:util';
import { runChaos } from './scenario.js';
import { summaryOf } from './summary.js';

const USAGE = `npm run chaos -- [options]
  --seed <number>         of the choices; default random
  --executions <number>   default 10000
  --seconds <number>      over which work comes and faults happen; default 90
  --workers <number>      worker processes; default 4
  --fsync <policy>        everysec or always; default everysec
  --quiet                 do not tell of each fault`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    executions: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '90' },
    workers: { type: 'string', default: '4' },
    fsync: { type: 'string', default: 'everysec' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const numbers = [values.seed, values.executions, values.seconds, values.workers].map(Number);
if (
  values.help ||
  numbers.some((number) => !Number.isFinite(number) || number < 0) ||
  (values.fsync !== 'everysec' && values.fsync !== 'always')
) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}
const [seed, executions, seconds, workers] = numbers as [number, number, number, number];

console.log(
  `chaos: --seed ${seed} --executions ${executions} --seconds ${seconds} --workers ${workers} --fsync ${values.fsync}`,
);
// The server processes do not keep this process alive, so it would end while it waits for them.
const alive = setInterval(() => undefined, 1_000);
const result = await runChaos({
  seed,
  executions,
  workers,
  durationMs: seconds * 1_000,
  fsync: values.fsync,
  partitions: 4,
  restarts: 2,
  freezes: 1,
  // With an fsync before every answer, a power cut loses nothing.
  powerCuts: values.fsync === 'always' ? 0 : 2,
  failover: true,
  faultEveryMs: 1_500,
  ...(values.quiet ? {} : { onFault: console.log }),
});
clearInterval(alive);
console.log(`\n${summaryOf(result)}\n`);
for (const violation of result.violations) console.error(`VIOLATION ${violation}\n`);
console.log(
  result.violations.length === 0
    ? 'Nothing lost that was kept, nothing done twice under one fence.'
    : `${result.violations.length} violations; --seed ${seed}`,
);
process.exit(result.violations.length === 0 ? 0 : 1);
