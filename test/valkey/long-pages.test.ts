/** A page of many long rows ends early, and the next one goes on behind it: no answer occupies the server or the link for long. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_PAGE_BYTES } from '../../lua/layout.js';
import { LIMITS } from '../../model/limits.js';
import { ONE_OF_EACH } from '../../model/partition.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const partition = '{fp:0}';
const COUNT = 40;
const TAGS = Object.fromEntries(
  Array.from({ length: LIMITS.maxTags }, (_, i) => [`a.k${i}`, 'x'.repeat(LIMITS.maxTagValueBytes)]),
);
/** Rows of one page. */
const MOST = Math.ceil(MAX_PAGE_BYTES / JSON.stringify(TAGS).length) + 1;
let engine: TestEngine;
const ids: string[] = [];
beforeAll(async () => {
  const { url } = await sharedValkey();
  engine = await testEngine({ backend: { url }, prefix: `long-pages-${process.pid}:`, partitions: ONE_OF_EACH });
  const names = { namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' };
  for (let i = 0; i < COUNT; i++) {
    const executionId = engine.executionId();
    ids.push(executionId);
    await engine.backend.createExecution({ executionId, ...names, tags: TAGS });
  }
});
afterAll(() => engine?.close());

interface Page {
  readonly rows: readonly { readonly executionId: string }[];
  readonly next: string | undefined;
}

test.each<[string, (cursor: string | undefined) => Promise<Page>]>([
  [
    'executions',
    async (cursor) => {
      const page = await engine.backend.listExecutionSummaries({ partition, cursor, limit: LIMITS.maxListPage });
      return { rows: page.executions, next: page.nextCursor };
    },
  ],
  [
    'waiting work',
    async (cursor) => {
      const args = { partition, laneId: 'lane', cursor, limit: LIMITS.maxListPage };
      const page = await engine.backend.listQueued(args);
      return { rows: page.executions, next: page.nextCursor };
    },
  ],
  [
    'a snapshot',
    async (cursor) => {
      const page = await engine.backend.readSnapshot({ partition, cursor, limit: LIMITS.maxListPage });
      return { rows: page.executions, next: page.nextCursor };
    },
  ],
])('of %s', async (_, read) => {
  const found: string[] = [];
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const { rows, next } = await read(cursor);
    expect(rows.length).toBeLessThanOrEqual(MOST);
    found.push(...rows.map(({ executionId }) => executionId));
    cursor = next;
  }
  expect(found.sort()).toEqual([...ids].sort());
});

test('of the log, without a gap, and with an entry behind that of the reader however long both are', async () => {
  const sequences: number[] = [];
  for (let after: string | undefined, atEnd = false; !atEnd; ) {
    const page = await engine.backend.readLog({ partition, after, limit: LIMITS.maxPageSize });
    expect(page.events.length).toBeLessThanOrEqual(MOST);
    expect(page.events.length).toBeGreaterThan(0);
    sequences.push(...page.events.map(({ sequence }) => sequence));
    ({ next: after, atEnd } = page);
  }
  expect(sequences).toEqual(ids.map((_, i) => i + 1));
});
