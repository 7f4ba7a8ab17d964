/** A page ends at its last row, on every backend: what comes between this row and the next match is on the next page. */
import { expect, test } from 'vitest';
import { create, fenceOf, LANE, PARTITION, take } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const idOf = (number: number): string => `${PARTITION}:00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;

/** Adds something that matches (`n`) or does not, in the order of its number. */
type Add = (engine: TestEngine, number: number, namespace: string) => Promise<void>;
type Page = { readonly ids: readonly string[]; readonly cursor: string | undefined };

const queued: Add = async (engine, number, namespace) => {
  await create(engine, { executionId: idOf(number), namespace });
};

const suspended: Add = async (engine, number, namespace) => {
  await create(engine, { executionId: idOf(number), namespace });
  const taken = await take(engine);
  await engine.backend.suspendExecution({
    ...{ executionId: taken.executionId, fence: fenceOf(taken), suspensionId: engine.uuid() },
    waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: 'k' }],
    resumeCondition: { type: 'operator_only' },
  });
};

/** Each list: how its entries come to be, their numbers in its order, and its pages of one row of the namespace `n`. */
const LISTS = {
  listQueued: {
    add: queued,
    order: [1, 2, 3, 4],
    page: async ({ backend }: TestEngine, cursor: string | undefined): Promise<Page> => {
      const filter = { partition: PARTITION, laneId: LANE, namespace: 'n', limit: 1 };
      const { executions, nextCursor } = await backend.listQueued({ ...filter, cursor });
      return { ids: executions.map(({ executionId }) => executionId), cursor: nextCursor };
    },
  },
  listSuspended: {
    add: suspended,
    order: [1, 2, 3, 4],
    page: async ({ backend }: TestEngine, cursor: string | undefined): Promise<Page> => {
      const { entries, nextCursor } = await backend.listSuspended({
        ...{ partition: PARTITION, namespace: 'n', limit: 1, cursor },
      });
      return { ids: entries.map(({ executionId }) => executionId), cursor: nextCursor };
    },
  },
  listExecutionSummaries: {
    add: queued,
    order: [4, 3, 2, 1],
    page: async ({ backend }: TestEngine, cursor: string | undefined): Promise<Page> => {
      const filter = { partition: PARTITION, namespace: 'n', limit: 1 };
      const { executions, nextCursor } = await backend.listExecutionSummaries({ ...filter, cursor });
      return { ids: executions.map(({ executionId }) => executionId), cursor: nextCursor };
    },
  },
} as const;

const BACKENDS = ['memory', 'valkey'] as const;
const cases = BACKENDS.flatMap((backend) =>
  Object.entries(LISTS).map(([name, list]) => [backend, name, list] as const),
);

test.each(cases)('on %s, a page of %s ends at its last row, before entries that do not match', async (on, _, list) => {
  const engine = await testEngine({ backend: on === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  try {
    const [first = 0, between = 0, other = 0, last = 0] = list.order;
    await list.add(engine, first, 'n');
    await list.add(engine, other, 'elsewhere');
    await list.add(engine, last, 'n');
    const page = await list.page(engine, undefined);
    expect(page.ids).toEqual([idOf(first)]);
    await list.add(engine, between, 'n');
    const second = await list.page(engine, page.cursor);
    const third = await list.page(engine, second.cursor);
    expect([...second.ids, ...third.ids]).toEqual([idOf(between), idOf(last)]);
    expect(third.cursor).toBeUndefined();
  } finally {
    await engine.close();
  }
});
