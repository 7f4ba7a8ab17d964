import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId, Subscriptions } from '../../src/engine/index.js';
import { valkey } from '../../src/valkey/index.js';
import { groups, listRows, subscriberRows } from '../names.js';
import type { Row } from '../rows.js';
import { scaled, withServer, type Scenario } from '../scenario.js';
import { median } from '../statistics.js';

const EXECUTIONS = 1_000_000;
const FILL_CALL = 500;
/** Lanes among which the executions are spread evenly; each has a tag of its own, which is indexed. */
const LANES = 10;
/** One in so many has ended in failure. */
const FAILED_ONE_IN = 20;
/** Pages that a figure is made of. */
const PAGES = 100;
const PAGE = 100;

const PARTITION = partitionKeyOf(0);
const INDEXED = 'a.team';

type PageOf = (backend: Backend, cursor: string | undefined) => Promise<{ readonly nextCursor: string | undefined }>;

const ROWS: readonly (readonly [name: string, read: PageOf])[] = [
  [
    listRows.state,
    (backend, cursor) =>
      backend.listExecutionSummaries({ partition: PARTITION, publicState: 'cancelled', cursor, limit: PAGE }),
  ],
  [
    listRows.lane,
    (backend, cursor) =>
      backend.listExecutionSummaries({ partition: PARTITION, laneId: 'lane-3', cursor, limit: PAGE }),
  ],
  [
    listRows.snapshot,
    (backend, cursor = 'execution:') => backend.readSnapshot({ partition: PARTITION, cursor, limit: PAGE }),
  ],
  [
    listRows.priority,
    (backend, cursor) => backend.listQueued({ partition: PARTITION, laneId: 'lane-3', cursor, limit: PAGE }),
  ],
  [
    listRows.tag,
    (backend, cursor) =>
      backend.listExecutionSummaries({ partition: PARTITION, tags: { [INDEXED]: 't3' }, cursor, limit: PAGE }),
  ],
];

/** Pages of lists of a million executions of one partition, one behind the other. */
export const listsScenario: Scenario = {
  name: 'lists',
  title: 'a page of 100 of 1 000 000 executions of one partition (minutes)',
  notQuick: true,
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const options = { prefix: `${newId()}:`, partitions: { count: 1 }, indexedTags: [INDEXED] };
      const backend = await valkey({ url: server.address.url, ...options });
      try {
        await fill(backend, scaled(context, EXECUTIONS));
        const rows: Row[] = [];
        for (const [name, read] of ROWS) {
          const values: number[] = [];
          const cpu: number[] = [];
          for (let run = 0; run < context.runs; run++) {
            const before = await server.cpuUs();
            values.push(await pageMs(backend, read));
            cpu.push(((await server.cpuUs()) - before) / PAGES / 1_000);
          }
          rows.push({ group: groups.lists, name, unit: 'ms', values });
          rows.push({ group: groups.listsCpu, name, unit: 'ms', values: cpu });
        }
        return rows;
      } finally {
        await backend.close();
      }
    }),
};

/** Median time of a page, ms, over the first pages of a list. */
async function pageMs(backend: Backend, read: PageOf): Promise<number> {
  const times: number[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES; page++) {
    const start = performance.now();
    ({ nextCursor: cursor } = await read(backend, cursor));
    times.push(performance.now() - start);
  }
  return median(times);
}

async function run(backend: Backend, commands: readonly Command[]): Promise<void> {
  for (const result of await backend.execute(commands)) if (!result.ok) throw result.error;
}

async function fill(backend: Backend, total: number): Promise<void> {
  for (let from = 0; from < total; from += FILL_CALL) {
    const ids = Array.from({ length: Math.min(FILL_CALL, total - from) }, () => executionIdOf(0, newId()));
    await run(
      backend,
      ids.map((executionId, i) => creation(executionId, (from + i) % LANES)),
    );
    const failed = ids.filter((_, i) => (from + i) % FAILED_ONE_IN === 0);
    if (failed.length > 0) await run(backend, failed.map(cancellation));
  }
}

const creation = (executionId: string, n: number): Command => ({
  name: 'createExecution',
  args: {
    ...{ executionId, namespace: 'bench', laneId: `lane-${n}`, executionKind: 'job', creatorIdentity: 'bench' },
    priority: n,
    tags: { [INDEXED]: `t${n}` },
  },
});

const cancellation = (executionId: string): Command => ({
  name: 'cancelExecution',
  args: { executionId, reason: 'bench', source: 'operator_override' },
});

const SUBSCRIBERS = 50;
const EVENTS = 500;
/** Between two events, ms: each is alone on its way. */
const PAUSE_MS = 5;

/** How long after an event was appended the last of 50 subscribers of one process has it. */
export const subscribersScenario: Scenario = {
  name: 'subscribers',
  title: 'an event appended, until 50 subscribers of one process have it',
  run: (context) =>
    withServer({ appendonly: false }, async (server) => {
      const values: number[] = [];
      for (let i = 0; i < context.runs; i++)
        values.push(await untilAllHaveIt(server.address.url, scaled(context, EVENTS)));
      return [{ group: groups.subscribers, name: subscriberRows.fifty, unit: 'ms', values }];
    }),
};

async function untilAllHaveIt(url: string, events: number): Promise<number> {
  const backend = await valkey({ url, prefix: `${newId()}:`, partitions: { count: 4 } });
  const feeds = new Subscriptions(backend);
  const subscriptions = await Promise.all(
    Array.from({ length: SUBSCRIBERS }, () => feeds.events({ types: ['execution_created'] })),
  );
  try {
    const times: number[] = [];
    for (let i = 0; i < events; i++) {
      const waiting = subscriptions.map((subscription) => subscription.next());
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const start = performance.now();
      await run(backend, [creation(executionIdOf(i % 4, newId()), 0)]);
      await Promise.all(waiting);
      times.push(performance.now() - start);
    }
    return median(times);
  } finally {
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    await backend.close();
  }
}
