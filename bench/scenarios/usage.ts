/** Reports of usage on one budget, against a function that does one HINCRBY and nothing else. */
import { Valkey } from 'iovalkey';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { groups, usageRows } from '../names.js';
import type { Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';

const REPORTS = 10_000;
const IN_FLIGHT = [1, 16] as const;

const BARE = `#!lua name=bench_usage
server.register_function('bench_usage', function(keys, argv) return server.call('HINCRBY', keys[1], argv[1], argv[2]) end)`;

export const usageScenario: Scenario = {
  name: 'usage',
  title: 'reports of usage on a budget, against a function of one HINCRBY',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const count = scaled(context, REPORTS);
      // One round that does not count pays for compiling.
      for (const measure of [bare, reported]) await measure(server, count, 16);
      const contestants = IN_FLIGHT.flatMap((inFlight) => [
        { name: usageRows.bare(inFlight), measure: () => bare(server, count, inFlight) },
        { name: usageRows.reported(inFlight), measure: () => reported(server, count, inFlight) },
      ]);
      return (await alternate(contestants, context.runs)).map(
        ({ name, results }): Row => ({ group: groups.usage, name, unit: 'reports/s', values: results }),
      );
    }),
};

/** Calls per second, so many of them under way at a time. */
async function rate(count: number, inFlight: number, call: () => Promise<unknown>): Promise<number> {
  let left = count;
  const start = performance.now();
  const one = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return count / ((performance.now() - start) / 1_000);
}

async function bare(server: BenchServer, count: number, inFlight: number): Promise<number> {
  const client = new Valkey(server.address.url, { enableAutoPipelining: true });
  try {
    await client.call('FUNCTION', 'LOAD', 'REPLACE', BARE);
    return await rate(count, inFlight, () => client.fcall('bench_usage', 1, 'bench', 'tokens', '1'));
  } finally {
    client.disconnect();
  }
}

async function reported(server: BenchServer, count: number, inFlight: number): Promise<number> {
  // A prefix of its own is an empty deployment.
  const backend = await valkey({
    url: server.address.url,
    prefix: `${newId()}:`,
    partitions: { count: 1, budgets: 1 },
  });
  try {
    const budgetId = newId();
    await backend.createBudget({ budgetId, limits: { tokens: { hard: Number.MAX_SAFE_INTEGER } } });
    return await rate(count, inFlight, () => backend.reportUsageAdmin({ budgetId, deltas: { tokens: 1 } }));
  } finally {
    await backend.close();
  }
}
