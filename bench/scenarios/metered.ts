/** What limits cost: claims of metered work with room, and the wait of a tenant with room beside many without. */
import { app, type App } from '../../src/app/index.js';
import { newId } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { groups, meteredRows } from '../names.js';
import type { Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { percentile } from '../statistics.js';

/** Executions of one drain, and how many at a time a worker has. */
const DRAINED = 5_000;
const SLOTS = 50;
/** Tenants at their limits, and runs of the one that has room. */
const TENANTS = 1_000;
const SAMPLES = 300;
const TENANT_SLOTS = TENANTS + 10;

const FREE = 'with room';

interface Mail {
  readonly tenant: string;
}

const open = async (server: BenchServer): Promise<App> =>
  // A prefix of its own is an empty deployment.
  app({ backend: await valkey({ url: server.address.url, prefix: `${newId()}:` }) });

export const meteredScenario: Scenario = {
  name: 'metered',
  title: 'metered claims against unmetered ones, and a tenant with room beside 1 000 at their limits',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const count = scaled(context, DRAINED);
      await drained(server, Math.min(count, 500), true);
      const contestants = [
        { name: meteredRows.unmetered, measure: () => drained(server, count, false) },
        { name: meteredRows.metered, measure: () => drained(server, count, true) },
      ];
      const rows = (await alternate(contestants, context.runs)).map(
        ({ name, results }): Row => ({ group: groups.metered, name, unit: 'runs/s', values: results }),
      );
      const waits: number[][] = [];
      for (let run = 0; run < context.runs; run++)
        waits.push(await waitsBeside(server, scaled(context, TENANTS), scaled(context, SAMPLES)));
      const row = (name: string, percent: number): Row => ({
        group: groups.tenants,
        name,
        unit: 'ms',
        values: waits.map((each) => percentile(each, percent)),
      });
      return [...rows, row(meteredRows.p50, 50), row(meteredRows.p99, 99)];
    }),
};

/** Runs per second that a worker does which wait when it starts. */
async function drained(server: BenchServer, count: number, isMetered: boolean): Promise<number> {
  const it = await open(server);
  let left = count;
  let done = (): void => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const work = it.task('work', isMetered ? { quota: { concurrency: 10 * SLOTS } } : {}, () => {
    if (--left === 0) done();
  });
  await work.runMany(Array.from({ length: count }, () => undefined));
  const start = performance.now();
  await it.worker({ slots: SLOTS });
  await all;
  const seconds = (performance.now() - start) / 1_000;
  await it.close();
  return count / seconds;
}

/** Milliseconds from the creation of a run to its start, while so many tenants run and wait at their limits. */
async function waitsBeside(server: BenchServer, tenants: number, samples: number): Promise<number[]> {
  const it = await open(server);
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  const startedAt = new Map<number, (at: number) => void>();
  let held = 0;
  const send = it.task(
    'send',
    { quota: { per: ({ tenant }: Mail) => tenant, concurrency: 1 } },
    async ({ input }: { input: Mail & { readonly n?: number } }) => {
      if (input.n !== undefined) return startedAt.get(input.n)?.(performance.now());
      held++;
      await gate;
      return undefined;
    },
  );
  await it.worker({ slots: TENANT_SLOTS });
  // Two of each: one runs, and one waits.
  const full = Array.from({ length: 2 * tenants }, (_, index) => ({ tenant: `t${index % tenants}` }));
  await send.runMany(full);
  while (held < tenants) await new Promise((resolve) => setTimeout(resolve, 20));
  const waits: number[] = [];
  for (let n = 0; n < samples; n++) {
    const started = new Promise<number>((resolve) => startedAt.set(n, resolve));
    const before = performance.now();
    const run = send.run({ tenant: FREE, n } as Mail);
    waits.push((await started) - before);
    await run.result();
    // It has room again.
    while ((await it.quotas.of(send, { tenant: FREE }))[0]?.held !== 0)
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
  letGo();
  await it.close({ timeout: '30s' });
  return waits;
}
