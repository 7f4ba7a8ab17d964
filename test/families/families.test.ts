import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  familyOf,
  hasPartition,
  isPartitionOfAnyFamily,
  partitionIn,
  partitionOfId,
  partitionsOf,
} from '../../model/families.js';
import { runDue, startTimerLoop } from '../../src/engine/index.js';
import { memory, valkey } from '../../src/index.js';
import type { Backend } from '../../src/backend/backend.js';
import { startValkey, type ValkeyServer } from '../support/valkey/index.js';

const COUNTS = { count: 256, budgets: 32, quotas: 32 };

describe('partitions of families', () => {
  test.each([
    ['00000000-0000-0000-0000-000000000000', 0],
    ['550e8400-e29b-41d4-a716-446655440000', 24],
    ['00112233-4455-6677-8899-aabbccddeeff', 8],
    ['ffffffff-ffff-ffff-ffff-ffffffffffff', 1],
  ])('%s is placed by its id (spec 02 section 2)', (uuid, index) => {
    expect(partitionOfId('budget', uuid, COUNTS)).toBe(`{b:${index}}`);
    expect(partitionOfId('quota', uuid, COUNTS)).toBe(`{q:${index}}`);
  });

  test('a key names its family, and a deployment knows which families it has', () => {
    expect(familyOf('{fp:7}')).toBe('flow');
    expect(familyOf(partitionIn('worker', 'shop'))).toBe('worker');
    expect(hasPartition(COUNTS, '{b:31}')).toBe(true);
    expect(hasPartition(COUNTS, '{b:32}')).toBe(false);
    expect(hasPartition(COUNTS, '{w:any name}')).toBe(true);
    expect(partitionsOf('worker', COUNTS)).toEqual([]);
    expect(partitionsOf('quota', { ...COUNTS, quotas: 2 })).toEqual(['{q:0}', '{q:1}']);
  });

  test.each(['{x:0}', '{b:01}', '{b:}', '{b:1', 'b:1', '{w:}', '{w:a:b}', '{w:a,b}', '{w:{}}', '{q:1}x', '{b:-1}'])(
    '%s is not a partition',
    (text) => expect(isPartitionOfAnyFamily(text)).toBe(false),
  );
});

describe.each(['memory', 'valkey'] as const)('on %s', (kind) => {
  let server: ValkeyServer | undefined;
  let backend: Backend;
  beforeAll(async () => {
    if (kind === 'memory') backend = memory({ partitions: { budgets: 2 } });
    else {
      server = await startValkey();
      backend = await valkey({ url: server.url, partitions: { count: 1, budgets: 2 } });
    }
  });
  afterAll(async () => {
    await backend.close();
    await server?.stop();
  });

  test('commands of any family run in partitions of every family, and only in existing ones', async () => {
    for (const partition of ['{b:1}', '{q:0}', '{w:shop}']) {
      await expect(backend.applyDue({ partition })).resolves.toMatchObject({ kind: 'applied' });
      const { end } = await backend.readLog({ partition });
      await expect(backend.watchLog({ partition, after: end })).resolves.toEqual({ kind: 'watching' });
      await expect(backend.commitReader({ partition, readerId: 'r', position: end })).resolves.toEqual({
        kind: 'committed',
      });
      await expect(backend.listReaders({ partition })).resolves.toMatchObject([{ readerId: 'r' }]);
      await expect(backend.listQuarantined({ partition })).resolves.toMatchObject({ entries: [] });
      await expect(backend.verifyPartition({ partition })).resolves.toMatchObject({ findings: [], executions: 0 });
    }
    await expect(backend.applyDue({ partition: '{b:2}' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(backend.applyDue({ partition: '{x:0}' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(backend.readCounts({ partition: '{b:0}' })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  test('an unused family is not polled', async () => {
    const looked: string[] = [];
    const watched = new Proxy(backend, {
      get: (target, name) =>
        name !== 'applyDue'
          ? (Reflect.get(target, name) as unknown)
          : (args: { partition: string }) => {
              looked.push(args.partition);
              return target.applyDue(args);
            },
    });
    await runDue(watched);
    const timers = await startTimerLoop(watched, { pollIntervalMs: 20 });
    await expect.poll(() => looked.length).toBeGreaterThan(2);
    await timers.close();
    expect(backend.settings.families).toEqual([]);
    expect([...new Set(looked)].filter((partition) => !/^\{(fp|w):/.test(partition))).toEqual([]);
  });
});

test('a family is in use from the first policy on that an admission makes', async () => {
  await using backend = memory();
  const limits = { windowSeconds: 1, maxRequestsPerWindow: 1, maxConcurrent: 1 };
  const id = '00000000-0000-4000-a000-000000000001';
  const asked = { quotaPolicyId: id, admissionIds: [id], partition: '{fp:0}' };
  await expect(backend.checkAdmission(asked)).rejects.toMatchObject({ code: 'quota_policy_not_found' });
  expect(backend.settings.families).toEqual([]);
  await backend.checkAdmission({ ...asked, limits });
  expect(backend.settings.families).toEqual(['quota']);
});

describe('the record of a deployment', () => {
  let server: ValkeyServer;
  let admin: Valkey;
  beforeAll(async () => {
    server = await startValkey();
    admin = new Valkey(server.url);
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  test('that is older than the families has 16 partitions of each, and keeps them', async () => {
    const record = {
      count: 2,
      placement: 'spread',
      contract: 2,
      retentionMs: 1_000,
      logMaxEntries: 100,
      indexedTags: [],
    };
    await admin.set('ff:deployment', JSON.stringify(record));
    const backend = await valkey({ url: server.url });
    expect(backend.partitions).toEqual({ count: 2, placement: 'spread', budgets: 16, quotas: 16 });
    await backend.close();
    await expect(valkey({ url: server.url, partitions: { budgets: 4 } })).rejects.toMatchObject({
      code: 'partition_mismatch',
      detail: { field: 'budgets', stored: '16', config: '4' },
    });
  });
});
