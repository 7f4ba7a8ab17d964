/**
 * The Lua of the server compares texts by the server's locale, in which "a" can come before "B". Everything that is stored
 * stands in the order of bytes. Where a system cannot make such a locale, its own is tried, and the comparison by itself.
 */
import fc from 'fast-check';
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { luaFiles } from '../../lua/files.js';
import { compareBytes } from '../../model/ids.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey, startValkey, type ValkeyServer } from '../support/valkey/index.js';
import { foreignLocale, type ForeignLocale } from '../support/valkey/locale.js';

const PARTITION = '{fp:0}';
const START = 1_700_000_000_000;
const EXECUTIONS = 400;

/** Ids in no order, so that their short forms mix digits, capitals and small letters. */
const idOf = (n: number): string => {
  const digits = Math.imul(n + 1, 0x9e3779b1) >>> 0;
  const head = digits.toString(16).padStart(8, '0');
  return `${PARTITION}:${head}-${head.slice(0, 4)}-4${head.slice(1, 4)}-a${head.slice(2, 5)}-${head.slice(4)}${head}`;
};

let locale: ForeignLocale | undefined;
let server: ValkeyServer;
let engines: { readonly memory: TestEngine; readonly valkey: TestEngine };
beforeAll(async () => {
  locale = await foreignLocale();
  server = await startValkey(locale === undefined ? {} : { env: locale.env });
  engines = {
    memory: await testEngine({ backend: 'memory', startAt: START }),
    valkey: await testEngine({ backend: { url: server.url }, prefix: 'locale:', startAt: START }),
  };
});
afterAll(async () => {
  await engines?.memory.close();
  await engines?.valkey.close();
  await server?.stop();
  await locale?.remove();
});

/** The same on both; answers both. */
const both = <Answer>(act: (engine: TestEngine) => Promise<Answer>): Promise<Answer[]> =>
  Promise.all([act(engines.memory), act(engines.valkey)]);

async function same<Answer>(act: (engine: TestEngine) => Promise<Answer>): Promise<void> {
  const [expected, found] = await both(act);
  expect(found).toEqual(expected);
}

async function pages(engine: TestEngine): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await engine.backend.listExecutionSummaries({ partition: PARTITION, limit: 50, cursor, tags: {} });
    ids.push(...page.executions.map(({ executionId }) => executionId));
    cursor = page.nextCursor;
    if (cursor === undefined) return ids;
  }
}

describe('a server with a locale of its own', () => {
  test('does not compare texts by bytes, if the locale exists', async () => {
    const client = new Valkey(server.url);
    const isByBytes = await client.eval("return 'B' < 'a' and 1 or 0", 0);
    client.disconnect();
    expect(isByBytes).toBe(locale === undefined ? 1 : 0);
  });

  test('keeps its indexes, lists and claims in the order of bytes', async () => {
    await both(async ({ backend }) => {
      for (let n = 0; n < EXECUTIONS; n++)
        await backend.createExecution({
          ...{ executionId: idOf(n), namespace: 'n', creatorIdentity: 'c', inputPayload: new Uint8Array(0) },
          ...{ laneId: n % 2 === 0 ? 'lane' : `Lane-${n % 5}`, executionKind: n % 3 === 0 ? 'Mail' : 'post' },
        });
    });
    await same((engine) => engine.canonicalState(PARTITION));
    await same(pages);
    await same(({ backend }) => backend.listExecutions({ partition: PARTITION, limit: 70, cursor: idOf(7) }));
    await same(({ backend }) => backend.readCounts({ partition: PARTITION, limit: 3 }));
    // All of one age: the order among them is that of their ids.
    await same(({ backend, uuid }) =>
      backend.claimForWorker({
        ...{ partition: PARTITION, laneId: 'lane', workerId: 'w', workerInstanceId: 'i' },
        claims: Array.from({ length: 40 }, () => ({ leaseId: uuid(), attemptId: uuid() })),
      }),
    );
    await both(async ({ backend }) => {
      for (let n = 1; n < EXECUTIONS; n += 3)
        await backend.cancelExecution({ executionId: idOf(n), reason: 'r', source: 'operator_override' });
    });
    await both((engine) => engine.advance(2 * 86_400_000));
    await both(async ({ backend }) => {
      for (let pass = 0; pass < 8; pass++) await backend.applyDue({ partition: PARTITION, limit: 1_000 });
    });
    await same((engine) => engine.canonicalState(PARTITION));
    await same(pages);
  });
});

test('texts are sorted by bytes where the locale does otherwise', async () => {
  const order = luaFiles()['core/order.lua'] as string;
  const script = `local ff = {}\n${order.replaceAll("'B' < 'a'", 'false')}
    local sorted = {}
    for i = 1, #ARGV do sorted[i] = ARGV[i] end
    ff.sort(sorted)
    return { sorted, ff.is_before(ARGV[1], ARGV[2]) and 1 or 0 }`;
  const client = new Valkey((await sharedValkey()).url);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'binary', maxLength: 5 }), { minLength: 2, maxLength: 8 }),
      async (texts) => {
        const [sorted, isBefore] = (await client.eval(script, 0, ...texts)) as [string[], number];
        expect(sorted).toEqual([...texts].sort(compareBytes));
        expect(isBefore).toBe(compareBytes(texts[0] as string, texts[1] as string) < 0 ? 1 : 0);
      },
    ),
    { numRuns: 40 },
  );
  client.disconnect();
});

test('no text is sorted by the locale of the server', () => {
  const sorted = Object.entries(luaFiles()).flatMap(([path, text]) =>
    [...text.matchAll(/table\.sort\(\w+\)/g)].map(([call]) => `${path}: ${call}`),
  );
  expect(sorted).toEqual(['core/order.lua: table.sort(texts)']);
});
