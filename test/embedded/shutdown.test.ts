/** A store in files that is prepared for the end of its process. */
import { describe, expect, test, vi } from 'vitest';
import { abandon, openOn } from '../../src/embedded/backend.js';
import { seededRandom, SimulatedDisk } from '../../src/testing/simulation/index.js';

const EXECUTION = '{fp:0}:00000000-0000-4000-8000-000000000001';
const FACTS = { executionId: EXECUTION, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };

test.each(['always', 'everysec', 'never'] as const)(
  'a prepared shutdown leaves everything on the disk, also with fsync %s',
  async (fsync) => {
    const disk = new SimulatedDisk();
    const backend = openOn(disk, { path: 'store', fsync });
    const created = backend.createExecution(FACTS);
    expect(await backend.shutdownPrepare({ graceMs: 10_000 })).toEqual({ unanswered: 0 });
    expect(await created).toMatchObject({ kind: 'created' });
    disk.halt();
    abandon(backend);
    for (let seed = 1; seed <= 20; seed++) {
      const later = disk.afterPowerLoss(seededRandom(seed));
      const found = openOn(later, { path: 'store' });
      expect(await found.readExecutionState({ executionId: EXECUTION })).toBe('waiting');
      later.halt();
      abandon(found);
    }
  },
);

test('a store that was closed meanwhile stays closed', async () => {
  const disk = new SimulatedDisk();
  const backend = openOn(disk, { path: 'store', fsync: 'everysec' });
  await backend.createExecution(FACTS);
  const [report] = await Promise.all([backend.shutdownPrepare({ graceMs: 10_000 }), backend.close()]);
  expect(report).toEqual({ unanswered: 0 });
  const found = openOn(disk, { path: 'store' });
  expect(await found.readExecutionState({ executionId: EXECUTION })).toBe('waiting');
  await found.close();
});

/** A disk that takes its time over every fsync that does not block. */
class SlowDisk extends SimulatedDisk {
  private readonly started: (() => void)[] = [];

  override syncLater(file: number, done: (error: Error | null) => void): void {
    this.started.push(() => super.syncLater(file, done));
  }

  goOn(): void {
    for (const start of this.started.splice(0)) start();
  }
}

describe.each(['everysec', 'never'] as const)('with fsync %s', (fsync) => {
  test('a failing disk makes the preparation fail, and no timer is left behind', async () => {
    const disk = new SimulatedDisk();
    const backend = openOn(disk, { path: 'store', fsync });
    await backend.createExecution(FACTS);
    disk.syncsFail = 'EIO';
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      for (let i = 0; i < 2; i++)
        await expect(backend.shutdownPrepare({ graceMs: 10_000 })).rejects.toMatchObject({ code: 'storage_failed' });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    // The fault has been told.
    await backend.close();
    await expect(backend.shutdownPrepare()).rejects.toMatchObject({ code: 'storage_failed' });
  });

  test('a failing disk makes the close fail, and the store can be opened again', async () => {
    const disk = new SimulatedDisk();
    const backend = openOn(disk, { path: 'store', fsync });
    await backend.createExecution(FACTS);
    disk.syncsFail = 'EIO';
    await expect(backend.close()).rejects.toMatchObject({ name: 'EngineError', code: 'storage_failed' });
    await expect(backend.shutdownPrepare()).rejects.toMatchObject({ code: 'storage_failed' });
    disk.syncsFail = undefined;
    const found = openOn(disk, { path: 'store' });
    expect(await found.readExecutionState({ executionId: EXECUTION })).toBe('waiting');
    await found.close();
  });

  test('a store that is not on the disk after the grace counts as unanswered', async () => {
    const disk = new SlowDisk();
    const backend = openOn(disk, { path: 'store', fsync });
    await backend.createExecution(FACTS);
    expect(await backend.shutdownPrepare({ graceMs: 10 })).toEqual({ unanswered: 1 });
    disk.goOn();
    expect(await backend.shutdownPrepare({ graceMs: 10_000 })).toEqual({ unanswered: 0 });
    await backend.close();
  });
});

test('a fault of the disk during an fsync that close() awaits is reported', async () => {
  const disk = new SlowDisk();
  const backend = openOn(disk, { path: 'store', fsync: 'never' });
  await backend.createExecution(FACTS);
  expect(await backend.shutdownPrepare({ graceMs: 0 })).toEqual({ unanswered: 1 });
  const closed = backend.close();
  disk.syncsFail = 'EIO';
  disk.goOn();
  await expect(closed).rejects.toMatchObject({ code: 'storage_failed' });
});
