/** Snapshots: where subscribers begin whose place in the log is gone, with nothing told twice and nothing left out. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { QueryName } from '../../model/machine.js';
import type { SnapshotKind } from '../../model/partition/snapshot.js';
import type { EntityKind } from '../../model/state.js';
import { cancel, feedsOn, take, type Feeds } from './support.js';

/** What a subscriber keeps of executions: how they stand, by rows and by events alike. */
class Projection {
  readonly states = new Map<string, string>();
  /** Entries that were told of an execution that stands so already. */
  readonly repeated: string[] = [];

  set(id: string, state: string): void {
    if (this.states.get(id) === state) this.repeated.push(`${state} ${id}`);
    this.states.set(id, state);
  }
}

const STATES: Readonly<Record<string, string>> = { execution_created: 'waiting', execution_cancelled: 'cancelled' };

/** Reads rows and lets a step happen after every one of them. */
async function readWith(feeds: Feeds['feeds'], step: (row: number) => Promise<unknown>, group?: string) {
  const projection = new Projection();
  const snapshot = await feeds.snapshot({ group });
  let rows = 0;
  for await (const row of snapshot) {
    if (row.kind === 'execution') projection.set(row.execution.executionId, row.publicState);
    await step(rows++);
  }
  return { projection, snapshot };
}

/** What a snapshot leaves out, and the reads that have it. A kind that is added is in the snapshot or has its line here. */
const LEFT_OUT: { readonly [Kind in Exclude<EntityKind, SnapshotKind>]: readonly QueryName[] } = {
  lane: ['readLane', 'readCounts'],
  reader: ['listReaders'],
  signing_key: ['listWaitpointHmacKids'],
  worker: ['listWorkers'],
  stream: ['readStream', 'readSummary'],
  idempotency_key: ['findExecution'],
  budget: ['listBudgets', 'getBudgetStatus'],
  reservation: ['getBudgetStatus'],
  ledger: ['readBudgetUsage'],
  usage_key: ['readBudgetUsage'],
  bill: ['readBudgetBill'],
  quota_policy: ['readQuotaPolicyLimits'],
  admission: ['readQuotaPolicyLimits'],
  walk: [],
};

it('docs/subscribing.md lists the kinds that a snapshot leaves out, with the reads that return them', () => {
  const page = readFileSync(new URL('../../docs/subscribing.md', import.meta.url), 'utf8');
  for (const [kind, reads] of Object.entries(LEFT_OUT)) {
    const row = page.split('\n').find((line) => line.startsWith('|') && line.split('|')[1]?.includes(`\`${kind}\``));
    expect(row, kind).toBeDefined();
    for (const read of reads) expect(row, kind).toContain(`\`${read}\``);
  }
});

describe.each(['memory', 'valkey'] as const)('a snapshot on %s', (label) => {
  it('and the events after it give the state, whatever changes while it is read', async () => {
    const { feeds, create, engine } = await feedsOn(label);
    // Pages are of 200.
    const ids = await Promise.all(Array.from({ length: 260 }, (_, i) => create(i % 26 === 0 ? 1 : 0)));
    const { projection, snapshot } = await readWith(feeds, async (row) => {
      if (row >= 60) return;
      // What was read, what was not read yet, and what is new.
      await cancel(engine, ids[row * 4] as string);
      if (row % 20 === 0) await create(row % 3);
    });
    const subscription = await feeds.events({ from: snapshot, types: ['execution_created', 'execution_cancelled'] });
    const last = await create(2);
    while (!projection.states.has(last)) {
      const [delivery] = await take(subscription, 1);
      const { event } = delivery as NonNullable<typeof delivery>;
      projection.set((event as { executionId: string }).executionId, STATES[event.type] as string);
    }
    await subscription.close();
    const truth = new Map<string, string>();
    const now = await feeds.snapshot();
    for await (const row of now) if (row.kind === 'execution') truth.set(row.execution.executionId, row.publicState);
    expect(truth.size).toBe(264);
    expect([...projection.states].sort()).toEqual([...truth].sort());
    expect(projection.repeated).toEqual([]);
  });

  it('lets a group continue that lost its position; the log is kept for it meanwhile', async () => {
    const { feeds, create, engine } = await feedsOn(label, { logMaxEntries: 10, partitions: { count: 1 } });
    await (await feeds.events({ group: 'search' })).close();
    await Promise.all(Array.from({ length: 300 }, () => create()));
    const lost = await feeds.events({ group: 'search' });
    await expect(take(lost, 1)).rejects.toMatchObject({
      code: 'cursor_too_old',
      message: expect.stringContaining('snapshot') as string,
    });
    const { projection, snapshot } = await readWith(
      feeds,
      // More than the log keeps: without the group, these would be gone when the rows are read.
      async (row) => row < 90 && (await create()),
      'search',
    );
    expect(projection.states.size).toBeGreaterThanOrEqual(300);
    const again = await feeds.events({ group: 'search', from: snapshot, types: ['execution_created'] });
    const missing = 390 - projection.states.size;
    for (const { event } of await take(again, missing))
      projection.set((event as { executionId: string }).executionId, 'waiting');
    expect([projection.states.size, projection.repeated]).toEqual([390, []]);
    expect((await engine.backend.listReaders({ partition: '{fp:0}' })).map(({ readerId }) => readerId)).toEqual([
      'search',
    ]);
    await again.close();
  });

  it('is refused as a start when it was read in part, and is lost when the log lost events that its rows include', async () => {
    let isLost = false;
    const { feeds, create } = await feedsOn(label, { partitions: { count: 1 } }, (inner) => ({
      // As after a failover that lost a tail, which grew again: other entries in the same places.
      async readLog(args) {
        const page = await inner.readLog(args);
        const moved = (at: number): number => (isLost ? at + 1 : at);
        const events = page.events.map(({ sequence, event }) => ({
          sequence,
          event: { ...event, at: moved(event.at) },
        }));
        return { ...page, events };
      },
    }));
    await create();
    const snapshot = await feeds.snapshot();
    await create();
    const early = (): Promise<unknown> => feeds.events({ from: snapshot });
    await expect(early()).rejects.toMatchObject({ code: 'invalid_input', detail: { field: 'from' } });
    let rows = 0;
    for await (const row of snapshot) rows += row.sequence;
    expect(rows).toBe(4);
    isLost = true;
    const subscription = await feeds.events({ from: snapshot });
    await expect(take(subscription, 1)).rejects.toMatchObject({ code: 'cursor_lost', detail: { partition: '{fp:0}' } });
  });
});
