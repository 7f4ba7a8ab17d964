import { inChild } from '../in-child.js';
import { groups, names, storedExecutions } from '../names.js';
import type { PopulationResult } from '../population.js';
import type { Row } from '../rows.js';
import { scaled, type Scenario } from '../scenario.js';

/** Lifecycles of the rate. */
const LIFECYCLES = 100_000;

const FEW = 1_000;
const MANY = 1_000_000;

/** A million executions with their log do not fit into Node's usual heap, in MiB. */
const HEAP = '--max-old-space-size=8192';

/** The machine without a server: rate, and cost of a transition against what is stored. */
export const memoryBackendScenario: Scenario = {
  name: 'memory-backend',
  title: 'memory backend: lifecycles per second, cost of a transition with a million stored',
  run: async (context) => {
    const results: PopulationResult[] = [];
    for (let run = 0; run < context.runs; run += 1) {
      const task = { lifecycles: scaled(context, LIFECYCLES), populations: [FEW, scaled(context, MANY)] };
      results.push(await inChild('population', task, [HEAP]));
    }
    const costRow = (name: string, index: number): Row => ({
      group: groups.memoryCost,
      name,
      unit: 'µs',
      values: results.map(({ transitionUs }) => transitionUs[index] ?? Number.NaN),
    });
    return [
      {
        group: groups.memoryRate,
        name: names.subject,
        unit: 'lifecycles/s',
        values: results.map(({ lifecyclesPerS }) => lifecyclesPerS),
      },
      costRow(storedExecutions.few, 0),
      costRow(storedExecutions.many, 1),
    ];
  },
};
