/** Lists by tag: read off an index where the deployment has the tag indexed and the index has all, else by looking. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FIELDS, KEYS, MAX_LOOKED_AT } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = 'tags:';
const SIZE = MAX_LOOKED_AT + 100;

let server: ValkeyServer;
let engine: TestEngine;
let admin: Valkey;
const rare: string[] = [];
beforeAll(async () => {
  server = await startValkey();
  engine = await testEngine({ backend: { url: server.url }, prefix: PREFIX, indexedTags: ['team.name'] });
  admin = new Valkey(server.url);
  const commands = Array.from({ length: SIZE }, (_, number) => ({
    name: 'createExecution' as const,
    args: {
      executionId: engine.executionId(),
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
      tags: { 'team.name': number % 200 === 0 ? 'Größe "x"\t' : 'rest', 'a.b': number % 200 === 0 ? 'odd' : 'even' },
    },
  }));
  for (const [i, { args }] of commands.entries()) if (i % 200 === 0) rare.push(args.executionId);
  for (let i = 0; i < SIZE; i += 200) await engine.backend.execute(commands.slice(i, i + 200));
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
  await server?.stop();
});

/** Ids of the whole list, and the pages that it took. */
async function listed(tags: Record<string, string>): Promise<{ ids: string[]; pages: number }> {
  const ids: string[] = [];
  let [pages, cursor] = [0, undefined as string | undefined];
  do {
    const page = await engine.backend.listExecutionSummaries({ partition: PARTITION, tags, cursor });
    ids.push(...page.executions.map(({ executionId }) => executionId));
    cursor = page.nextCursor;
    pages++;
  } while (cursor !== undefined);
  return { ids, pages };
}

const newestFirst = (): string[] => [...rare].sort().reverse();
const shelves = async (): Promise<string[]> =>
  (await admin.keys(`${PREFIX}${PARTITION}:${KEYS.shelf}*`)).map((key) => key.slice(key.indexOf(KEYS.shelf)));

test('a list by an indexed tag takes one page, and a list by another tag scans all; both are complete', async () => {
  expect(await listed({ 'team.name': 'Größe "x"\t' })).toEqual({ ids: newestFirst(), pages: 1 });
  expect(await listed({ 'a.b': 'odd' })).toEqual({ ids: newestFirst(), pages: 2 });
  expect(await listed({ 'a.b': 'odd', 'team.name': 'rest' })).toMatchObject({ ids: [] });
});

test('a changed tag moves its execution, and a purge removes it', async () => {
  const { backend } = engine;
  const executionId = rare[1] as string;
  await backend.setExecutionTags({ executionId, tags: { 'team.name': 'moved' } });
  expect(await listed({ 'team.name': 'moved' })).toEqual({ ids: [executionId], pages: 1 });
  await backend.setExecutionTags({ executionId, tags: { 'team.name': 'Größe "x"\t' } });
  expect((await listed({ 'team.name': 'moved' })).ids).toEqual([]);
  const gone = rare.pop() as string;
  await backend.cancelExecution({ executionId: gone, reason: 'r', source: 'operator_override' });
  engine.setTime(engine.now() + 100_000_000);
  await backend.purgeExecution({ executionId: gone });
  expect(await listed({ 'team.name': 'Größe "x"\t' })).toEqual({ ids: newestFirst(), pages: 1 });
});

test('after a change of the settings lists are right at once, and short again after a verification of the partition', async () => {
  const { backend } = engine;
  await backend.configureDeployment({ indexedTags: ['a.b'] });
  expect(await listed({ 'a.b': 'odd' })).toEqual({ ids: newestFirst(), pages: 2 });
  await backend.verifyPartition({ partition: PARTITION });
  expect(await listed({ 'a.b': 'odd' })).toEqual({ ids: newestFirst(), pages: 1 });
  expect((await listed({ 'team.name': 'Größe "x"\t' })).ids).toEqual(newestFirst());
  // What is indexed no longer takes no room.
  expect((await shelves()).sort()).toEqual([`${KEYS.shelf}t:a.b="even"`, `${KEYS.shelf}t:a.b="odd"`]);
  expect((await engine.canonicalState(PARTITION)).strays).toEqual([]);
});

test('an execution with damaged tags is left out of lists, which continue', async () => {
  const { ids: before } = await listed({});
  const victim = rare[1] as string;
  await admin.hset(`${PREFIX}${PARTITION}:${memberOf(victim)}`, FIELDS.tags, '{');
  const { ids } = await listed({});
  expect(ids).toEqual(before.filter((id) => id !== victim));
  expect(ids).toHaveLength(before.length - 1);
});
