/** A disk without room, and one that fails: nothing that was refused was done, and nothing that was answered is lost. */
import { describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import type { Backend } from '../../src/backend/backend.js';
import { abandon, compact } from '../../src/embedded/backend.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';
import { openStore, scriptOf, type Script } from './script.js';

const id = (index: number): string => `{fp:0}:00000000-0000-4000-a000-${String(index).padStart(12, '0')}`;

const creation = (index: number, bytes = 200) => ({
  executionId: id(index),
  namespace: 'full',
  laneId: 'lane',
  executionKind: 'kind',
  creatorIdentity: 'test',
  inputPayload: Buffer.alloc(bytes, index),
});

/** Creates until that is refused; answers how many stand. */
async function fill(backend: Backend, bytes?: number): Promise<{ created: number; code: string }> {
  for (let index = 0; ; index++) {
    try {
      await backend.createExecution(creation(index, bytes));
    } catch (error) {
      return { created: index, code: (error as EngineError).code };
    }
  }
}

const SCRIPT: Script = { partitions: 1, turns: [], states: [] };
const reopened = (disk: SimulatedDisk) => openStore(disk.afterKill(), SCRIPT);

describe('a full disk', () => {
  test('refuses new work, lets work end, and accepts work again when there is room', async () => {
    const disk = new SimulatedDisk({ capacity: 60_000 });
    const store = openStore(disk, SCRIPT);
    const { backend } = store;
    const { created, code } = await fill(backend);
    expect(code).toBe('storage_full');
    expect(created).toBeGreaterThan(50);
    await expect(backend.createExecution(creation(created))).rejects.toMatchObject({ retryable: true });
    expect(await backend.readExecutionState({ executionId: id(created) })).toBeUndefined();
    expect(reopened(disk).state()).toBe(store.state());

    const claimed = await backend.claimForWorker({
      partition: '{fp:0}',
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'w-1',
      claims: [{ leaseId: '00000000-0000-4000-a000-000000000001', attemptId: '00000000-0000-4000-a000-000000000002' }],
    });
    if (claimed.kind !== 'claimed') throw new Error('nothing was claimed');
    const [{ executionId, leaseId, leaseEpoch, attemptId }] = claimed.executions as [never];
    await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
    expect(reopened(disk).state()).toBe(store.state());

    const notices: string[] = [];
    backend.onNotice?.((notice) => notices.push(notice.code));
    expect(notices).toEqual(['storage_full']);
    disk.capacity = Number.POSITIVE_INFINITY;
    await backend.createExecution(creation(created));
    expect(reopened(disk).state()).toBe(store.state());
    await backend.close();
  });

  test('at every size leaves the memory equal to the files', async () => {
    const script = await scriptOf(9, 30, 2);
    // A store begins with its schema, which needs some 13 KB: with less there is none.
    for (let capacity = 17_000; capacity < 70_000; capacity += 1_713) {
      const disk = new SimulatedDisk({ capacity });
      const store = openStore(disk, script, { snapshotEveryBytes: 4_000 });
      for (const turn of script.turns) await store.turn(turn);
      const again = openStore(disk.afterKill(), script, {}, script.turns.at(-1)?.at);
      expect(again.state(), `${capacity} bytes`).toBe(store.state());
      disk.capacity = Number.POSITIVE_INFINITY;
      await compact(store.backend);
      expect(openStore(disk.afterKill(), script, {}, script.turns.at(-1)?.at).state()).toBe(store.state());
      abandon(store.backend);
    }
  });

  test('that never had room for a store is reported', () => {
    expect(() => openStore(new SimulatedDisk({ capacity: 100 }), SCRIPT)).toThrow(/^storage_full/);
  });
});

describe('a disk that fails', () => {
  test.each(['EIO', 'ENOSPC', 'EDQUOT', 'EFBIG'])(
    '%s in the middle of turns has these turns taken back',
    async (code) => {
      const script = await scriptOf(13, 60, 2);
      const disk = new SimulatedDisk();
      const store = openStore(disk, script, { fsync: 'always' });
      const write = disk.write.bind(disk);
      let frames = 0;
      disk.write = (file, from, length, position) => {
        // A part of every third frame is written; room taken ahead is not touched.
        const isFrame = from.subarray(0, length).some((byte) => byte !== 0);
        if (!isFrame || frames++ % 3 !== 2) return write(file, from, length, position);
        write(file, from, Math.floor(length / 2), position);
        throw Object.assign(new Error(code), { code });
      };
      let refused = 0;
      for (const turn of script.turns) {
        if (!(await store.turn(turn))) refused += 1;
        const again = openStore(disk.afterKill(), script, {}, turn.at);
        expect(again.state()).toBe(store.state());
        abandon(again.backend);
      }
      expect(refused).toBeGreaterThan(5);
      await store.backend.close();
    },
  );

  test('at the beginning of a segment leaves no write unanswered', async () => {
    const disk = new SimulatedDisk();
    const store = openStore(disk, SCRIPT, { fsync: 'always', snapshotEveryBytes: 600 });
    disk.faultOf = (change) => (change === 'create' ? 'EIO' : undefined);
    for (let index = 1; index < 4; index++) await store.backend.createExecution(creation(index));
    await expect(compact(store.backend)).rejects.toMatchObject({ code: 'storage_failed' });
    expect(reopened(disk).state()).toBe(store.state());
    await store.backend.close();
  });

  test.each([
    ['that stops', 'storage_failed'],
    ['that is closed', 'backend_closed'],
  ])('during an fsync: compact() of a store %s is answered', async (_, code) => {
    const disk = new SimulatedDisk();
    const { backend } = openStore(disk, SCRIPT, { fsync: 'always' });
    const created = Promise.allSettled([backend.createExecution(creation(1))]);
    await new Promise<void>((resolve) => setImmediate(resolve));
    const compacted = expect(compact(backend)).rejects.toMatchObject({ code });
    if (code === 'storage_failed') disk.syncsFail = 'EIO';
    else void backend.close();
    await compacted;
    await expect(compact(backend)).rejects.toMatchObject({ code });
    await created;
    await backend.close();
    expect(disk.paths.filter((path) => path.includes('snapshot'))).toEqual([]);
  });

  test('in an fsync ends the store: no write is acknowledged', async () => {
    const disk = new SimulatedDisk();
    const { backend } = openStore(disk, SCRIPT, { fsync: 'always' });
    await backend.createExecution(creation(1));
    const notices: string[] = [];
    backend.onNotice?.((notice) => notices.push(notice.code));
    disk.syncsFail = 'EIO';
    await expect(backend.createExecution(creation(2))).rejects.toMatchObject({ code: 'storage_failed' });
    disk.syncsFail = undefined;
    await expect(backend.createExecution(creation(3))).rejects.toMatchObject({ code: 'storage_failed' });
    await expect(backend.readExecutionState({ executionId: id(1) })).rejects.toMatchObject({ code: 'storage_failed' });
    expect(notices).toEqual(['storage_failed']);
    await backend.close();
    const again = reopened(disk);
    expect(await again.backend.readExecutionState({ executionId: id(1) })).toBe('waiting');
  });
});
