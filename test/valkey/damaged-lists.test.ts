/**
 * No damaged row ends a list: every read of several entities, with every key of them damaged in turn. A new read is in
 * one of the two tables, because the compiler asks for it.
 */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KEYS } from '../../lua/layout.js';
import { EngineError } from '../../model/errors.js';
import { memberOf } from '../../model/ids.js';
import { QUERY_NAMES, type QueryName } from '../../model/machine.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { familyOf } from '../../src/valkey/verify/key-families.js';
import { sharedValkey } from '../support/valkey/index.js';

const PREFIX = `damaged-lists-${process.pid}:`;
const [FLOWS, BUDGETS] = ['{fp:0}', '{b:0}'];
const LEASE_TTL_MS = 1_000;
const GRACE_MS = 600_000;
const DAY_MS = 86_400_000;
const LANES = ['a', 'b'];
let engine: TestEngine;
let admin: Valkey;

interface Rows {
  /** How the keys of each row name it, or the field of a shared key. */
  readonly rows: readonly string[];
  /** The rows that the answer names as damaged, where it names them. */
  readonly damaged?: readonly string[];
  readonly next?: string | number | undefined;
}

interface List {
  /** The execution, budget or flow that the call names: damage of it is told to the caller. */
  readonly of?: string;
  read(cursor: never): Promise<Rows>;
}

/** Reads of one entity, which answer `corruption` when it is damaged, and of a log, whose entries none may miss. */
const OF_ONE = [
  'describeExecution',
  'readExecutionInfo',
  'readExecutionState',
  'readExecutionContext',
  'getExecutionResult',
  'getExecutionTags',
  'readWaitpointToken',
  'describeSuspension',
  'observeSignals',
  'listSignals',
  'listPendingWaitpoints',
  'readWaits',
  'findExecution',
  'readStream',
  'readSummary',
  'readSteps',
  'readLane',
  'readQuotaPolicyLimits',
  'readLog',
  'describeFlow',
  'getFlowTag',
  'describeEdge',
  'resolveExecutionFlowId',
  'evaluateFlowEligibility',
  'getBudgetStatus',
  'readBudgetRoom',
  'readBudgetUsage',
] as const satisfies readonly QueryName[];

interface World {
  readonly flowId: string;
  readonly upstream: string;
  readonly budgetId: string;
  readonly today: number;
}

const short = (rows: readonly { readonly executionId: string }[]): string[] =>
  rows.map(({ executionId }) => memberOf(executionId));

/** The lists of several entities, with pages that are short, so that all of them are needed. */
function listsOf({ flowId, upstream, budgetId, today }: World): {
  readonly [Name in Exclude<QueryName, (typeof OF_ONE)[number]>]: List;
} {
  const { backend } = engine;
  const page = { partition: FLOWS, limit: 3 };
  return {
    listExecutions: {
      async read(cursor?: string) {
        const ids = await backend.listExecutions({ ...page, cursor });
        return { rows: ids.executions.map(memberOf), next: ids.nextCursor };
      },
    },
    listExecutionSummaries: {
      async read(cursor?: string) {
        const { executions, nextCursor } = await backend.listExecutionSummaries({ ...page, cursor });
        return { rows: short(executions), next: nextCursor };
      },
    },
    listQueued: {
      async read(cursor?: string) {
        const { executions, nextCursor } = await backend.listQueued({ ...page, laneId: 'a', cursor });
        return { rows: short(executions), next: nextCursor };
      },
    },
    listExpiredLeases: {
      async read(cursor?: string) {
        const { leases, nextCursor } = await backend.listExpiredLeases({ ...page, cursor });
        return { rows: short(leases), next: nextCursor };
      },
    },
    listSuspended: {
      async read(cursor?: string) {
        const { entries, nextCursor } = await backend.listSuspended({ ...page, cursor });
        return { rows: short(entries), next: nextCursor };
      },
    },
    scanEligibleExecutions: {
      async read() {
        const ids = await backend.scanEligibleExecutions({ ...page, laneId: 'a', limit: 50 });
        return { rows: ids.map(memberOf) };
      },
    },
    listQueueHeads: {
      async read() {
        const heads = await backend.listQueueHeads({ partition: FLOWS, laneIds: LANES });
        return { rows: heads.map(({ laneId, executionKind }) => `${laneId}\t\t${executionKind}`) };
      },
    },
    listMeteredHeads: {
      async read(cursor?: string) {
        const laneIds = ['metered', 'other'];
        const { heads, nextCursor } = await backend.listMeteredHeads({ ...page, laneIds, limit: 1, cursor });
        return { rows: heads.map(({ executionKind }) => executionKind), next: nextCursor };
      },
    },
    listPartitionLanes: {
      async read(cursor?: string) {
        const { lanes, nextCursor } = await backend.listPartitionLanes({ ...page, limit: 1, cursor });
        return { rows: lanes, next: nextCursor };
      },
    },
    readCounts: {
      async read(cursor?: string) {
        const { lanes, damaged, nextCursor } = await backend.readCounts({ ...page, limit: 1, cursor });
        return { rows: lanes.map(({ laneId }) => laneId), damaged, next: nextCursor };
      },
    },
    listQuarantined: {
      async read(cursor?: string) {
        const { entries, nextCursor } = await backend.listQuarantined({ ...page, cursor });
        return { rows: entries.map(({ name }) => memberOf(name)), next: nextCursor };
      },
    },
    readSnapshot: {
      async read(cursor?: string) {
        const { flows, executions, nextCursor } = await backend.readSnapshot({ ...page, cursor });
        return {
          rows: [...short(executions), ...flows.map(({ flow }) => memberOf(`${FLOWS}:${flow}`))],
          next: nextCursor,
        };
      },
    },
    listReaders: {
      async read() {
        return { rows: (await backend.listReaders({ partition: FLOWS })).map(({ readerId }) => readerId) };
      },
    },
    listWorkers: {
      async read(cursor?: string) {
        const { workers, nextCursor } = await backend.listWorkers({ namespace: 'n', limit: 1, cursor });
        return { rows: workers.map(({ workerInstanceId }) => workerInstanceId), next: nextCursor };
      },
    },
    listWaitpointHmacKids: {
      async read() {
        const { verifying, currentKid } = await backend.listWaitpointHmacKids({ partition: FLOWS });
        expect(currentKid).toBe('current');
        return { rows: verifying.map(({ kid }) => kid) };
      },
      of: 'current',
    },
    listFlows: {
      async read(cursor?: string) {
        const { flows, damaged, nextCursor } = await backend.listFlows({ ...page, limit: 1, cursor });
        return { rows: flows.map(({ flowId: id }) => memberOf(id)), damaged: damaged.map(memberOf), next: nextCursor };
      },
    },
    listFlowMembers: {
      of: memberOf(flowId),
      async read(cursor?: number) {
        const { members, damaged, nextCursor } = await backend.listFlowMembers({ flowId, limit: 2, cursor });
        return { rows: short(members), damaged: damaged.map(memberOf), next: nextCursor };
      },
    },
    listEdges: {
      of: memberOf(upstream),
      async read(cursor?: string) {
        const args = { executionId: upstream, direction: 'outgoing', limit: 1, cursor } as const;
        const { edges, damaged, nextCursor } = await backend.listEdges(args);
        const named = damaged.map((edgeId) => downstreamOf.get(edgeId) ?? edgeId);
        return {
          rows: edges.map(({ downstreamExecutionId }) => memberOf(downstreamExecutionId)),
          ...{ damaged: named, next: nextCursor },
        };
      },
    },
    listBudgets: {
      async read(cursor?: string) {
        const { budgets, damaged, nextCursor } = await backend.listBudgets({ partition: BUDGETS, limit: 1, cursor });
        return { rows: budgets.map((budget) => budget.budgetId), damaged, next: nextCursor };
      },
    },
    readBudgetBill: {
      of: `budget:${budgetId}`,
      async read() {
        const { days, damaged } = await backend.readBudgetBill({ budgetId, fromDay: today - 5, days: 10 });
        const nameOf = (day: number): string => `${budgetId}:${day}`;
        return { rows: days.map(({ day }) => nameOf(day)), damaged: damaged.map(nameOf) };
      },
    },
  };
}

/** The downstream execution of each edge of the flow, by edge id. */
const downstreamOf = new Map<string, string>();
let world: World;

beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: PREFIX, partitions: ONE_OF_EACH });
  admin = new Valkey(url);
  world = await worldOf();
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});

async function worldOf(): Promise<World> {
  const { backend } = engine;
  const names = { namespace: 'n', executionKind: 'k', creatorIdentity: 'c' };
  const create = async (laneId: string, facts: object = {}): Promise<string> => {
    const executionId = engine.executionId();
    await backend.createExecution({ executionId, laneId, ...names, tags: { 'a.b': 'c' }, ...facts });
    return executionId;
  };
  const claimed = async (laneId: string) => {
    const claims = [0, 1, 2].map(() => ({ leaseId: engine.uuid(), attemptId: engine.uuid() }));
    const worker = { workerId: 'w', workerInstanceId: 'w-1', leaseTtlMs: LEASE_TTL_MS };
    const answer = await backend.claimForWorker({ partition: FLOWS, laneId, ...worker, claims });
    return answer.kind === 'claimed' ? answer.executions : [];
  };
  const three = [0, 1, 2];
  // Budgets, and days of one.
  const budgets = three.map(() => engine.uuid());
  for (const budgetId of budgets) await backend.createBudget({ budgetId, limits: { tokens: { hard: 1_000 } } });
  const [budgetId = ''] = budgets;
  const today = Math.floor(engine.now() / DAY_MS);
  for (const n of three.concat(3)) {
    engine.setTime((today + n) * DAY_MS + DAY_MS - 1);
    await backend.reportUsageAdmin({ budgetId, deltas: { tokens: 1 } });
  }
  // Suspended ones, ones with a lost lease, and ones that wait: some without, some with a quota.
  for (const _ of three) await create('a');
  for (const { executionId, leaseId, leaseEpoch, attemptId } of await claimed('a')) {
    const key = 'wpk:approval';
    await backend.suspendExecution({
      ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, suspensionId: engine.uuid() },
      waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: key }],
      resumeCondition: { type: 'single', waitpointKey: key, matcher: { type: 'by_name', name: 'approved' } },
      reasonCode: 'waiting_for_approval',
    });
  }
  for (const _ of three) await create('b');
  await claimed('b');
  engine.setTime(engine.now() + LEASE_TTL_MS + 1);
  for (const executionKind of ['k', 'l', 'm']) {
    await create('a', { executionKind });
    await create('metered', { executionKind: `metered-${executionKind}`, policy: { quotaPolicyIds: [engine.uuid()] } });
  }
  // Flows.
  const ids = three.concat(3).map(() => engine.executionId());
  const [upstream = '', ...downstream] = ids;
  const edges = downstream.map((downstreamExecutionId) => {
    const edgeId = engine.uuid();
    downstreamOf.set(edgeId, memberOf(downstreamExecutionId));
    return { edgeId, upstreamExecutionId: upstream, downstreamExecutionId };
  });
  const flowId = engine.executionId();
  const graph = { members: ids.map((executionId) => ({ executionId, laneId: 'b', executionKind: 'k' })), edges };
  await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph });
  for (const _ of three) await backend.createFlow({ flowId: engine.executionId(), flowKind: 'f', namespace: 'n' });
  // Entries that were set aside.
  for (const _ of three) {
    const executionId = await create('spoilt');
    await admin.hset(`${PREFIX}${FLOWS}:${memberOf(executionId)}`, 'l', '?');
  }
  await claimed('spoilt');
  // Keys, readers, workers.
  for (const newKid of ['first', 'second', 'third', 'current']) {
    const newSecret = new Uint8Array(32).fill(newKid.length);
    await backend.rotateWaitpointHmacSecret({ partition: FLOWS, newKid, newSecret, graceMs: GRACE_MS });
  }
  for (const n of three) {
    const { end } = await backend.readLog({ partition: FLOWS });
    await backend.commitReader({ partition: FLOWS, readerId: `reader-${n}`, position: end });
    const offer = { lanes: ['a'], capabilities: ['gpu'], slots: 1, livenessTtlMs: GRACE_MS };
    await backend.registerWorker({ namespace: 'n', workerId: 'w', workerInstanceId: `worker-${n}`, ...offer });
  }
  return { flowId, upstream, budgetId, today };
}

/** All pages of a list. */
async function allOf({ read }: List): Promise<{ readonly rows: string[]; readonly damaged: string[] | undefined }> {
  const rows: string[] = [];
  let damaged: string[] | undefined;
  for (let cursor: Rows['next'], hasMore = true; hasMore; hasMore = cursor !== undefined) {
    const page = await read(cursor as never);
    rows.push(...page.rows);
    if (page.damaged !== undefined) damaged = [...(damaged ?? []), ...page.damaged];
    cursor = page.next;
  }
  return { rows: rows.sort(), damaged };
}

/** The names of a damaged place: its key inside the partition, and its field. */
interface Place {
  readonly key: string;
  readonly field: string | undefined;
}

/** Every key of the world, and every field of one hash of each kind; in an order that does not depend on ids. */
async function places(): Promise<Place[]> {
  const names = (await admin.keys(`${PREFIX}*`)).filter((key) => key.includes('}:'));
  const keys = names.map(async (key) => {
    const fields = (await admin.type(key)) === 'hash' ? await admin.hkeys(key) : [];
    return { key, fields, kind: [key, ...fields].map(kindOf).sort().join(' ') };
  });
  const sorted = (await Promise.all(keys)).sort((a, b) => (`${a.kind} ${a.key}` < `${b.kind} ${b.key}` ? -1 : 1));
  return sorted.flatMap(({ key, fields, kind }, n) => {
    const isFirst = kind !== sorted[n - 1]?.kind;
    return [undefined, ...(isFirst ? fields.sort() : [])].map((field) => ({ key, field }));
  });
}

/** A name without the ids and numbers in it. */
const kindOf = (name: string): string => name.replace(PREFIX, '').replace(/[\w-]{22,36}|[0-9]+/g, '#');

/** What happens to a place: another value, or it is lost. */
const DAMAGES = ['x\ty\tz', '', undefined];

/** Damages a place, looks, and puts the key back. */
async function damaged({ key, field }: Place, value: string | undefined, look: () => Promise<void>): Promise<void> {
  const kept = (await admin.dumpBuffer(key)) as Buffer;
  if (field === undefined) {
    await admin.del(key);
    if (value !== undefined) await admin.set(key, value);
  } else await (value === undefined ? admin.hdel(key, field) : admin.hset(key, field, value));
  try {
    await look();
  } finally {
    await admin.restore(key, 0, kept, 'REPLACE');
  }
}

test('every list leaves out a damaged row and continues after it', async () => {
  const lists = Object.entries<List>(listsOf(world));
  expect([...lists.map(([name]) => name), ...OF_ONE].sort()).toEqual([...QUERY_NAMES].sort());
  const whole = new Map<string, readonly string[]>();
  for (const [name, list] of lists) {
    const { rows, damaged: unreadable = [] } = await allOf(list);
    expect([name, rows.length, unreadable], name).toEqual([name, Math.max(3, rows.length), []]);
    whole.set(name, rows);
  }
  const faults: string[] = [];
  for (const [index, place] of (await places()).entries()) {
    const value = DAMAGES[index % DAMAGES.length];
    await damaged(place, value, async () => {
      const look = async ([name, list]: (typeof lists)[number]) => {
        const fault = await faultOf(list, whole.get(name) ?? [], place, value === undefined);
        if (fault !== undefined) faults.push(`${name}, ${place.key} ${place.field ?? ''}, "${value}": ${fault}`);
      };
      await Promise.all(lists.map(look));
    });
  }
  expect(faults).toEqual([]);
});

/** What is wrong with the answer of a list, which has all of these rows without the damage. */
async function faultOf(
  list: List,
  all: readonly string[],
  { key, field }: Place,
  isLost: boolean,
): Promise<string | undefined> {
  const name = key.slice(key.indexOf('}:') + 2);
  const isOf = (row: string): boolean => `${name} ${field ?? ''}`.includes(row);
  // Damage of a shared index, or of what the call names, is told to the caller.
  const isShared = field === undefined && (familyOf(name) !== undefined || name === KEYS.readers);
  const mayFail = isShared || name === KEYS.header || (list.of !== undefined && isOf(list.of));
  try {
    const { rows, damaged: named } = await allOf(list);
    const missing = all.filter((row) => !rows.includes(row));
    if (mayFail) return undefined;
    if (rows.some((row) => !all.includes(row))) return `has ${rows.filter((row) => !all.includes(row)).join()}`;
    if (!missing.every(isOf)) return `lacks ${missing.filter((row) => !isOf(row)).join()}`;
    // Nothing but its own record tells that there was spending on a day.
    if (named === undefined || (isLost && name.startsWith('bill:'))) return undefined;
    return named.join() === missing.join() ? undefined : `names ${named.join()}, lacks ${missing.join()}`;
  } catch (error) {
    if (mayFail && isLost) return undefined;
    if (!(error instanceof EngineError) || error.code !== 'corruption') return `throws ${String(error)}`;
    return mayFail ? undefined : `is refused: ${error.message}`;
  }
}
