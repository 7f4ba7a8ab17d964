/**
 * `npx tsx fuzz/explore/main.ts [--depth N] [--states N] [--world TEXT] [--paths]`: explores the small worlds to a
 * depth (default: that of the proof, of flows two more than in `npm test`), prints what was visited and, with `--paths`,
 * the shortest way to everything that must be reachable. Ends with status 1 at a counterexample.
 */
import { parseArgs } from 'node:util';
import { ALWAYS, explore, summaryOf } from './explore.js';
import { FLOW_WORLDS } from './flow-moves.js';
import { exploreFlow } from './flows.js';
import { SOMETIMES } from './reached.js';
import { SCENARIOS } from './scenarios.js';
import { exploreWaits } from './waits.js';

/** Depth in the world of waits: one more than in `npm test`. */
const WAITS_DEPTH = 5;

const USAGE = 'npx tsx fuzz/explore/main.ts [--depth N] [--states N] [--world TEXT] [--paths]';

const { values } = parseArgs({
  options: {
    depth: { type: 'string' },
    states: { type: 'string', default: '2000000' },
    world: { type: 'string', default: '' },
    paths: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const secondsSince = (at: number): string => ((performance.now() - at) / 1_000).toFixed(1);

const reached = new Map<string, string>();
const startedAt = performance.now();
console.log(`${ALWAYS} properties after every change, ${SOMETIMES.length} to be reached, and that everything ends`);
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(values.world))) {
  const result = explore(scenario, {
    depth: values.depth === undefined ? (scenario.proofDepth ?? scenario.depth) : Number(values.depth),
    states: Number(values.states),
  });
  console.log(`${summaryOf(result)} (${secondsSince(startedAt)} s)`);
  for (const [property, path] of result.reached)
    if (!reached.has(property) || (reached.get(property) as string).length > path.length) reached.set(property, path);
  if (result.counterexample !== undefined) {
    const { property, because, path } = result.counterexample;
    console.log(`\nDoes not hold: ${property}\n${because}\n\n${path}`);
    process.exit(1);
  }
}
for (const world of FLOW_WORLDS.filter(({ name }) => name.includes(values.world))) {
  const { states, broken } = exploreFlow(world, values.depth === undefined ? world.depth + 2 : Number(values.depth));
  console.log(`${String(states).padStart(7)} states: ${world.name} (${secondsSince(startedAt)} s)`);
  if (broken !== undefined) {
    console.log(`\nDoes not hold: ${broken.property}\n\n${broken.path.join('\n')}`);
    process.exit(1);
  }
}
const waits = exploreWaits(values.depth === undefined ? WAITS_DEPTH : Number(values.depth));
console.log(`${String(waits.states).padStart(7)} states: one execution that waits`);
if (waits.broken !== undefined) {
  console.log(`\nDoes not hold: ${waits.broken.name}\n\n${waits.broken.path.join('\n')}`);
  process.exit(1);
}
if (values.paths)
  for (const property of SOMETIMES)
    console.log(`\n${property}:\n${reached.get(property) ?? '           (not reached)'}`);
const missing = SOMETIMES.filter((property) => !reached.has(property));
console.log(
  `${SOMETIMES.length - missing.length} of ${SOMETIMES.length} reached${missing.length === 0 ? '' : `; not: ${missing.join('; ')}`}`,
);
