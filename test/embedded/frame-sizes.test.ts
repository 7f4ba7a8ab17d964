/** What is written to a store is cut into frames of bounded size, because a frame is in memory as a whole. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { compact, openOn } from '../../src/embedded/backend.js';
import { FrameReader } from '../../src/embedded/frames.js';
import { SimulatedDisk } from '../../src/testing/simulation/index.js';

const MIB = 1024 * 1024;
const INPUT_BYTES = 256 * 1024;

/** The bytes of the payloads in each frame of a file. */
function payloadsIn(disk: SimulatedDisk, kind: string): number[] {
  const path = disk.paths.find((name) => name.endsWith(kind)) as string;
  const reader = new FrameReader(disk, disk.open(path), path);
  const sizes: number[] = [];
  for (let frame = reader.next(); frame !== undefined; frame = reader.next()) sizes.push(frame.bytes.length);
  return sizes;
}

test('a turn is written in frames of little more than 4 MiB, a snapshot in frames of little more than 1 MiB', async () => {
  const disk = new SimulatedDisk();
  const backend = openOn(disk, { path: 'store', fsync: 'never' });
  const creation = () => ({
    executionId: `{fp:0}:${randomUUID()}`,
    ...{ namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'test' },
    inputPayload: new Uint8Array(INPUT_BYTES).fill(1),
  });
  await Promise.all(Array.from({ length: 40 }, () => backend.createExecution(creation())));
  const [journal, inAll] = [payloadsIn(disk, '.journal'), 40 * INPUT_BYTES];
  await compact(backend);
  const snapshot = payloadsIn(disk, '.snapshot');
  for (const [sizes, most] of [
    [journal, 4 * MIB],
    [snapshot, MIB],
  ] as const) {
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(inAll);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(most + INPUT_BYTES);
    // Nor is each payload written alone.
    expect(sizes.length).toBeLessThan(40);
  }
  await backend.close();
});
