/**
 * `npm run chaos:embedded`: an embedded store whose process is killed and frozen at random while it submits and works,
 * and then the audit. Exits with 1 after any violation.
 */
import { parseArgs } from 'node:util';
import { runEmbeddedChaos } from './scenario.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    executions: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '60' },
    fsync: { type: 'string', default: 'everysec' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const { fsync } = values;
const [seed, executions, seconds] = [values.seed, values.executions, values.seconds].map(Number) as [
  ...[number, number, number],
];
const isWrong = [seed, executions, seconds].some((number) => !Number.isFinite(number) || number < 0);
if (values.help || isWrong || (fsync !== 'everysec' && fsync !== 'always')) {
  console.log(
    'npm run chaos:embedded -- [--seed N] [--executions 5000] [--seconds 60] [--fsync everysec|always] [--quiet]',
  );
  process.exit(values.help ? 0 : 2);
}

console.log(`embedded chaos: --seed ${seed} --executions ${executions} --seconds ${seconds} --fsync ${fsync}`);
const { audit, violations, kills, freezes, read } = await runEmbeddedChaos({
  ...{ seed, executions, fsync, durationMs: seconds * 1_000, lifeMs: 1_000 },
  onFault: values.quiet ? () => undefined : console.log,
});
const endings = [...audit.endings].map(([situation, count]) => `${situation}: ${count}`).join(', ');
console.log(`${kills} kills, ${freezes} freezes; ${audit.events.length} events, ${read} of them read; ${endings}`);
console.log(`${audit.answers} answers; ${audit.ranUnanswered} of ${audit.neverAnswered} calls without one ran`);
for (const violation of violations) console.error(`VIOLATION ${violation}\n`);
console.log(violations.length === 0 ? 'Nothing that was answered is lost, nothing is half done.' : `--seed ${seed}`);
process.exit(violations.length === 0 ? 0 : 1);
