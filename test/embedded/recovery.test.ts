/** What is found in the files is read, mended or refused. */
import { describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import { executionIdOf, partitionKeyOf } from '../../model/ids.js';
import { abandon, compact, openOn } from '../../src/embedded/backend.js';
import { Loader, type Target } from '../../src/embedded/loader.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf } from './script.js';

const JOURNAL = 'store/00000001.journal';

/** A store in which a script ran, left as a killed process leaves it, or closed. */
async function storeOf(end: 'killed' | 'closed', fsync: 'always' | 'never' = 'never', turns = 12) {
  const script = await scriptOf(5, turns, 2);
  const disk = new SimulatedDisk();
  const store = openStore(disk, script, { fsync });
  for (const turn of script.turns) await store.turn(turn);
  if (end === 'closed') await store.backend.close();
  else abandon(store.backend);
  const last = script.turns.at(-1)?.at;
  return { script, disk: disk.afterKill(), reopen: (found: SimulatedDisk) => openStore(found, script, {}, last) };
}

const noticesOf = (backend: ReturnType<typeof openStore>['backend']): string[] => {
  const codes: string[] = [];
  backend.onNotice?.((notice: EngineError) => codes.push(notice.code))();
  return codes;
};

/** Where the frames of a journal end: behind them stands room that was taken ahead. */
const endOf = (disk: SimulatedDisk, path = JOURNAL): number => {
  const bytes = disk.bytesOf(path);
  return bytes.length - [...bytes].reverse().findIndex((byte) => byte !== 0);
};

describe('a torn tail', () => {
  test('is cut off and reported, once', async () => {
    const { disk, script, reopen } = await storeOf('killed');
    disk.bytesOf(JOURNAL).fill(0, endOf(disk) - 5);
    const store = reopen(disk);
    expect(noticesOf(store.backend)).toEqual(['storage_tail_cut']);
    expect(script.states).toContain(store.state());
    abandon(store.backend);
    const again = reopen(disk.afterKill());
    expect(noticesOf(again.backend)).toEqual([]);
  });

  test('may have a hole, after the bytes that were on the medium', async () => {
    const { disk, script, reopen } = await storeOf('killed');
    const end = endOf(disk);
    disk.bytesOf(JOURNAL).fill(0, end - 900, end - 700);
    const store = reopen(disk);
    expect(noticesOf(store.backend)).toEqual(['storage_tail_cut']);
    expect(script.states.indexOf(store.state())).toBeGreaterThan(0);
  });
});

describe('damage is refused, with its place', () => {
  test.each([
    ['in the middle of what was on the medium', 'killed', 'always'],
    ['at the end of a store that was closed', 'closed', 'never'],
  ] as const)('%s', async (_, end, fsync) => {
    const { disk, reopen } = await storeOf(end, fsync);
    const bytes = disk.bytesOf(JOURNAL);
    const at = end === 'closed' ? endOf(disk) - 40 : endOf(disk) - 1_500;
    bytes[at] = (bytes[at] as number) ^ 1;
    const hint = expect.stringContaining('restore a copy of the folder') as string;
    expect(() => reopen(disk)).toThrow(expect.objectContaining({ hint }));
    expect(() => reopen(disk)).toThrow(/corruption: 00000001\.journal does not read at byte \d+/);
  });

  test('every flipped bit of a closed store is found', async () => {
    const { disk, reopen } = await storeOf('closed', 'never', 2);
    const { length } = disk.bytesOf(JOURNAL);
    // The last frame says that the store was closed. Without it, the store is one that was not.
    const closing = length - 21;
    for (let at = 0; at < closing; at++) {
      const damaged = disk.afterKill();
      const bytes = damaged.bytesOf(JOURNAL);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      expect(() => reopen(damaged), `byte ${at}`).toThrow(/^(corruption|library_mismatch)/);
    }
  });

  test('a missing segment', async () => {
    const { disk, script, reopen } = await storeOf('killed');
    const store = openStore(disk, script, { snapshotEveryBytes: 1 });
    await store.turn(script.turns[0] as never);
    await compact(store.backend);
    abandon(store.backend);
    const found = disk.afterKill();
    expect(found.paths.some((path) => path.endsWith('.snapshot'))).toBe(true);
    for (const path of found.paths) if (path.endsWith('.journal')) found.remove(path);
    expect(() => reopen(found)).toThrow(/^corruption: \d+\.journal is missing/);
  });

  test('a file of another store', async () => {
    const { script, reopen } = await storeOf('killed');
    const compacted = async (): Promise<SimulatedDisk> => {
      const disk = new SimulatedDisk();
      const store = openStore(disk, script);
      for (const turn of script.turns) await store.turn(turn);
      await compact(store.backend);
      await store.backend.close();
      return disk.afterKill();
    };
    const [own, other] = [await compacted(), await compacted()];
    for (const path of own.paths) {
      const found = own.afterKill();
      const bytes = Buffer.from(other.bytesOf(path));
      // The mark of a store says nothing but that it is there.
      if (bytes.length === 0) continue;
      found.remove(path);
      found.write(found.create(path), bytes, bytes.length, 0);
      expect(() => reopen(found), path).toThrow(/^corruption: 00000002\.\w+ belongs to another store/);
    }
  });

  test('an unreadable snapshot', async () => {
    const { disk, script, reopen } = await storeOf('killed');
    const store = openStore(disk, script);
    await compact(store.backend);
    abandon(store.backend);
    const found = disk.afterKill();
    const path = found.paths.find((name) => name.endsWith('.snapshot')) as string;
    const bytes = found.bytesOf(path);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    expect(() => reopen(found)).toThrow(/^corruption: \d+\.snapshot does not read/);
  });
});

test('a snapshot has the state of its journal', async () => {
  const { disk, script, reopen } = await storeOf('killed', 'never', 80);
  const store = reopen(disk);
  await compact(store.backend);
  expect(store.state()).toBe(script.states.at(-1));
  abandon(store.backend);
  const found = disk.afterKill();
  expect(found.paths.map((path) => path.replace(/.*\./, ''))).toEqual(['journal', 'snapshot']);
  const again = reopen(found);
  expect(again.state()).toBe(script.states.at(-1));
  await again.backend.close();
});

test('a step recorded while a snapshot is written is restored once, and so are the steps before it', async () => {
  const disk = new SimulatedDisk();
  const store = openOn(disk, { path: 'store', partitions: { count: 1 } });
  const idOf = (index: number): string =>
    executionIdOf(0, `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
  const ids = Array.from({ length: 3_000 }, (_, index) => idOf(index));
  await Promise.all(
    ids.map((id) =>
      store.createExecution({
        ...{ executionId: id, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' },
      }),
    ),
  );
  const claims = [{ leaseId: idOf(0).slice(-36), attemptId: idOf(1).slice(-36) }];
  const claimed = await store.claimForWorker({
    ...{ partition: partitionKeyOf(0), laneId: 'l', workerId: 'w', workerInstanceId: 'w1', claims },
  });
  if (claimed.kind !== 'claimed') throw new Error(claimed.kind);
  const [{ executionId, leaseId, leaseEpoch, attemptId }] = claimed.executions;
  const record = (stepName: string) =>
    store.recordStep({
      ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, stepName, stepIndex: 0 },
      ...{ value: Buffer.from('1'), encoding: 'json' },
    });
  await record('before');
  let isWritten = false;
  const compacted = compact(store).then(() => (isWritten = true));
  // The first slice of the snapshot writes this execution, which is the oldest.
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  await record('meanwhile');
  expect(isWritten).toBe(false);
  await compacted;
  abandon(store);
  const again = openOn(disk.afterKill(), { path: 'store' });
  const { steps } = await again.readSteps({ executionId });
  expect(steps.map(({ stepName }) => stepName)).toEqual(['before', 'meanwhile']);
  await again.close();
});

test('a store keeps its partitions', async () => {
  const disk = new SimulatedDisk();
  const first = openOn(disk, { path: 'store', partitions: { count: 3, placement: 'lane' } });
  await first.close();
  const second = openOn(disk, { path: 'store' });
  expect(second.partitions).toEqual({ count: 3, placement: 'lane', budgets: 1, quotas: 1 });
  await second.close();
  expect(() => openOn(disk, { path: 'store', partitions: { count: 2 } })).toThrow(
    /^partition_mismatch: count: stored=3, config=2/,
  );
});

test('settings are changed permanently, and a process cannot open the store with other ones', async () => {
  const disk = new SimulatedDisk();
  const first = openOn(disk, { path: 'store', retentionMs: 1_000, logMaxEntries: 50 });
  await first.configureDeployment({ retentionMs: 90_000 });
  await compact(first);
  await first.configureDeployment({ logMaxEntries: 7 });
  const { settings } = first;
  expect(settings).toMatchObject({ version: 3, retentionMs: 90_000, logMaxEntries: 7 });
  abandon(first);
  const second = openOn(disk.afterKill(), { path: 'store' });
  expect(second.settings).toEqual(settings);
  abandon(second);
  expect(() => openOn(disk.afterKill(), { path: 'store', logMaxEntries: 50 })).toThrow(/^settings_mismatch/);
});

test('settings without their version are refused', () => {
  const used: unknown[] = [];
  const target: Target = {
    storeId: undefined,
    store: () => ({}) as never,
    use: (settings) => used.push(settings),
  };
  const load = (settings: object): void =>
    new Loader(target, {} as never, false).load({
      ...{ type: 0, number: 1, synced: 0, size: 0 },
      ...{ text: `$${JSON.stringify(settings)}`, bytes: Buffer.alloc(0) },
    });
  load({ version: 2, retentionMs: 5 });
  expect(used).toMatchObject([{ version: 2, retentionMs: 5 }]);
  expect(() => load({ retentionMs: 5 })).toThrow(/^corruption: .*no version/);
  expect(used).toHaveLength(1);
});

test('unfinished files are removed', async () => {
  const disk = new SimulatedDisk();
  for (const name of ['00000001.journal.new', 'notes.txt']) disk.create(`store/${name}`);
  await openOn(disk, { path: 'store' }).close();
  disk.create('store/00000001.snapshot.new');
  await openOn(disk, { path: 'store' }).close();
  expect(disk.paths).toEqual(['store/00000001.journal', 'store/notes.txt']);
});
