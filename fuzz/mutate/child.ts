/** Judges the model of the tree that this process was started in; started by `slot.ts` with a server and a budget. */
import { Valkey } from 'iovalkey';
import { testEngine } from '../../src/testing/index.js';
import { judge, type Budget } from './judge.js';

const [url = '', budget = '{}'] = process.argv.slice(2);
const client = new Valkey(url);
const engine = await testEngine({ backend: { url }, prefix: 'mutate:' });
const verdict = await judge(engine, () => client.flushall(), JSON.parse(budget) as Budget);
process.send?.(verdict, () => process.exit(0));
