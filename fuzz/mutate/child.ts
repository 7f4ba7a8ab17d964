/** Judges the model of the tree that this process was started in; started by `slot.ts` with a server and a budget. */
import { testEngine } from '../../src/testing/index.js';
import { DEPLOYMENT } from '../arena.js';
import { judge, type Budget } from './judge.js';

const [url = '', budget = '{}'] = process.argv.slice(2);
const engine = await testEngine({ ...DEPLOYMENT, backend: { url }, prefix: 'mutate:' });
const verdict = await judge(engine, JSON.parse(budget) as Budget, () => void process.send?.('ended'));
process.send?.(verdict, () => process.exit(0));
