/** A process that creates executions until it is killed: `child.ts <folder> <fsync>`. */
import { randomUUID } from 'node:crypto';
import { embedded, type FsyncMode } from '../../src/embedded/index.js';

const [, , path, fsync] = process.argv as [string, string, string, FsyncMode];
const backend = await embedded({ path, fsync, snapshotEveryBytes: 20_000 });

async function create(): Promise<void> {
  for (;;) {
    const executionId = `{fp:0}:${randomUUID()}`;
    await backend.createExecution({
      executionId,
      namespace: 'killed',
      laneId: 'lane',
      executionKind: 'kind',
      creatorIdentity: 'child',
      inputPayload: Buffer.alloc(100, 'x'),
    });
    process.send?.(executionId);
  }
}

await Promise.all(Array.from({ length: 4 }, create));
