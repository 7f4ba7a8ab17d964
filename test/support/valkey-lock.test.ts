import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFolderLock } from './valkey/lock.js';

let parent = '';
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'flowfabric-lock-'));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

describe('withFolderLock', () => {
  it('lets one task in at a time', async () => {
    let inside = 0;
    const task = async (): Promise<number> => {
      inside += 1;
      const seen = inside;
      await sleep(20);
      inside -= 1;
      return seen;
    };
    const seen = await Promise.all([1, 2, 3].map(() => withFolderLock(join(parent, 'lock'), 30_000, task)));
    expect(seen).toEqual([1, 1, 1]);
  });

  it('is released after a task that failed', async () => {
    const failing = withFolderLock(join(parent, 'lock'), 0, () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await withFolderLock(join(parent, 'lock'), 0, () => Promise.resolve('in'))).toBe('in');
  });

  it('is taken over from a holder that died', async () => {
    await mkdir(join(parent, 'lock'));
    // Above the largest process id that Linux gives.
    await writeFile(join(parent, 'lock', 'pid'), '99999999');
    expect(await withFolderLock(join(parent, 'lock'), 0, () => Promise.resolve('in'))).toBe('in');
  });

  it('gives up on a holder that keeps it', async () => {
    const folder = join(parent, 'lock');
    const inner = (): Promise<string> => withFolderLock(folder, 300, () => Promise.resolve('in'));
    await expect(withFolderLock(folder, 0, inner)).rejects.toThrow('held by another process');
  });
});
