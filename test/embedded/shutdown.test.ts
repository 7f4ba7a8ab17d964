/** A store in files that is prepared for the end of its process. */
import { expect, test } from 'vitest';
import { abandon, openOn } from '../../src/embedded/backend.js';
import { seededRandom, SimulatedDisk } from '../../src/testing/simulation/index.js';

const EXECUTION = '{fp:0}:00000000-0000-4000-8000-000000000001';
const FACTS = { executionId: EXECUTION, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };

test.each(['always', 'everysec', 'never'] as const)(
  'everything is on the disk then, also with fsync %s',
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
