/** A great deal that becomes due at once: how soon it is done, by the number of loops, and what claims cost meanwhile. */
import { partitionKeyOf } from '../../model/ids.js';
import { MIN_RETENTION_MS, RETENTION_SLOT_MS } from '../../model/limits.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import type { Backend } from '../../src/backend/backend.js';
import { newId } from '../../src/engine/index.js';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { valkey } from '../../src/valkey/index.js';
import { complete, completeAndClaim, createMany } from '../calls.js';
import { overdueGroups, overdueLoops, overdueRows } from '../names.js';
import { rowsFrom, type Row } from '../rows.js';
import { alternate, scaled, withServer, type Scenario, type ScenarioContext } from '../scenario.js';
import type { BenchServer } from '../server.js';
import { inParallel, sleep } from '../timing.js';

const PURGES = 200_000;
const DELAYS = 100_000;

/** Executions of a call while the store is filled, and calls in flight. */
const FILL_CALL = 100;
const FILL_CALLS_AT_ONCE = 4;
/** Executions of a call of the caller that is measured meanwhile. */
const BESIDE = 16;
/** How long that caller is measured alone, ms. */
const ALONE_MS = 3_000;
/** So long before the delays end they must have been created, ms. */
const AHEAD_MS = 30_000;

const LANE = 'bench';
const ASIDE = 'aside';

interface Overdue {
  readonly seconds: number;
  readonly longest: number;
  readonly slower: number;
}

type Kind = 'purges' | 'delays';

export const overdueScenario: Scenario = {
  name: 'overdue',
  title: '200 000 purges and 100 000 delays due at once, by the number of loops (a quarter of an hour)',
  notQuick: true,
  run: async (context) => [...(await measured(context, 'purges')), ...(await measured(context, 'delays'))],
};

async function measured(context: ScenarioContext, kind: Kind): Promise<readonly Row[]> {
  const contestants = overdueLoops.map((loops) => ({
    name: overdueRows[kind](loops),
    measure: () => withServer({ appendonly: false }, (server) => overdue(context, server, kind, loops)),
  }));
  return (await alternate(contestants, context.runs)).flatMap(({ name, results }) =>
    rowsFrom(results, name, [
      { metric: 'seconds', group: overdueGroups.seconds, unit: 's' },
      { metric: 'longest', group: overdueGroups.longest, unit: 'ms' },
      { metric: 'slower', group: overdueGroups.slower, unit: 'x' },
    ]),
  );
}

/** Every loop has a connection of its own, as a process that helps has. */
async function overdue(context: ScenarioContext, server: BenchServer, kind: Kind, loops: number): Promise<Overdue> {
  const open = (): Promise<Backend> =>
    valkey({ url: server.address.url, prefix: 'overdue:', partitions: { count: 1 }, logMaxEntries: 10_000 });
  const backend = await open();
  const helpers = await Promise.all(Array.from({ length: loops }, open));
  try {
    const count = scaled(context, kind === 'purges' ? PURGES : DELAYS);
    const dueAt = await (kind === 'purges' ? purgesOf(backend, count) : delaysOf(backend, count));
    const alone = await perSecond(backend, () => sleep(ALONE_MS));
    await sleep(Math.max(0, dueAt - (await backend.serverTime())));
    await server.watchCalls();
    const startedAt = performance.now();
    const timers = await Promise.all(helpers.map((helper) => startTimerLoop(helper)));
    const beside = await perSecond(backend, async () => {
      while (timers.reduce((sum, { applied }) => sum + applied, 0) < count) await sleep(10);
    });
    const seconds = (performance.now() - startedAt) / 1_000;
    const longest = await server.longestCallMs();
    await Promise.all(timers.map((timer) => timer.close()));
    return { seconds, longest, slower: alone / beside };
  } finally {
    await Promise.all([backend, ...helpers].map((each) => each.close()));
  }
}

/** Completes so many executions that are kept for a minute. @returns when all of them are due, ms since the epoch */
async function purgesOf(backend: Backend, count: number): Promise<number> {
  const policy = { streamPolicy: { retentionTtlMs: MIN_RETENTION_MS } };
  await inParallel(Math.ceil(count / FILL_CALL), FILL_CALLS_AT_ONCE, async () => {
    await createMany(backend, FILL_CALL, { laneId: ASIDE, policy });
    const claims = Array.from({ length: FILL_CALL }, () => ({ leaseId: newId(), attemptId: newId() }));
    const answer = await backend.claimForWorker({
      ...{ partition: partitionKeyOf(0), laneId: ASIDE, workerId: 'w', workerInstanceId: 'w', claims },
    });
    if (answer.kind === 'claimed') await complete(backend, answer.executions);
  });
  return Math.ceil(((await backend.serverTime()) + MIN_RETENTION_MS) / RETENTION_SLOT_MS) * RETENTION_SLOT_MS;
}

/** Creates so many executions that are delayed until the same millisecond. @returns that, ms since the epoch */
async function delaysOf(backend: Backend, count: number): Promise<number> {
  const delayUntil = (await backend.serverTime()) + AHEAD_MS;
  const calls = Math.ceil(count / FILL_CALL);
  await inParallel(calls, FILL_CALLS_AT_ONCE, async () => {
    await createMany(backend, FILL_CALL, { laneId: ASIDE, delayUntil });
  });
  return delayUntil;
}

/** Lifecycles per second of a caller that makes one call after the other while something goes on. */
async function perSecond(backend: Backend, during: () => Promise<void>): Promise<number> {
  let over = false;
  const ended = during().finally(() => (over = true));
  const startedAt = performance.now();
  let held: readonly ClaimedExecution[] = [];
  let count = 0;
  while (!over) {
    await createMany(backend, BESIDE, { laneId: LANE });
    held = await completeAndClaim(backend, held, BESIDE);
    count += BESIDE;
  }
  await ended;
  const seconds = (performance.now() - startedAt) / 1_000;
  await complete(backend, held);
  return count / seconds;
}
