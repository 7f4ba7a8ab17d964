/** One process at a time has a store open. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { embedded } from '../../src/index.js';
import { takeLock } from '../../src/embedded/lock.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const nothing = (): void => undefined;
const work = () => ({
  executionId: `{fp:0}:${randomUUID()}`,
  ...{ namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'test' },
});
const holder = (): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

/** The pid of a process that has ended. */
function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--eval', '']);
  return new Promise((resolve) => child.once('exit', () => resolve(child.pid as number)));
}

test('a lock names its holder, is readable by its user only, and is removed on release', async () => {
  const lock = await takeLock(folder, nothing);
  expect(holder()).toMatchObject({ pid: process.pid });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await expect(takeLock(folder, nothing)).rejects.toMatchObject({ code: 'storage_locked', retryable: true });
  lock.release();
  expect(existsSync(path)).toBe(false);
  (await takeLock(folder, nothing)).release();
});

test('the lock of a dead process is taken over', async () => {
  (await takeLock(folder, nothing)).release();
  const lock = await takeLock(folder, nothing);
  writeFileSync(path, JSON.stringify({ ...holder(), pid: await deadPid() }));
  const next = await takeLock(folder, nothing);
  expect(holder()['pid']).toBe(process.pid);
  // The one that was written over is not this one's to remove.
  lock.release();
  expect(existsSync(path)).toBe(true);
  next.release();
});

test.runIf(existsSync('/proc/self/stat'))('the lock of a process whose pid was reused is taken over', async () => {
  const lock = await takeLock(folder, nothing);
  writeFileSync(path, JSON.stringify({ ...holder(), started: '1' }));
  const next = await takeLock(folder, nothing);
  expect(holder()['started']).not.toBe('1');
  lock.release();
  next.release();
});

test('a lock that was written in part is taken over', async () => {
  writeFileSync(path, '{"pid":');
  const next = await takeLock(folder, nothing);
  expect(holder()['pid']).toBe(process.pid);
  next.release();
});

test('a holder on another host or thread keeps its lock while it shows signs of life', async () => {
  const own = await takeLock(folder, nothing);
  const ended = join(folder, 'of a thread that was ended');
  mkdirSync(ended);
  writeFileSync(join(ended, 'lock'), JSON.stringify({ ...holder(), nonce: 'of the thread' }));
  own.release();
  const elsewhere = JSON.stringify({ pid: 1, started: '1', place: 'another machine' });
  writeFileSync(path, elsewhere);
  const life = setInterval(() => utimesSync(path, new Date(), new Date()), 300);
  await expect(takeLock(folder, nothing)).rejects.toMatchObject({ code: 'storage_locked' });
  clearInterval(life);
  const next = await Promise.all([takeLock(folder, nothing), takeLock(ended, nothing)]);
  expect(holder()['pid']).toBe(process.pid);
  for (const lock of next) lock.release();
});

test('one of many processes gets a stale lock', async () => {
  (await takeLock(folder, nothing)).release();
  const first = await takeLock(folder, nothing);
  writeFileSync(path, JSON.stringify({ ...holder(), pid: await deadPid() }));
  first.release();
  const tries = await Promise.allSettled(Array.from({ length: 12 }, () => takeLock(folder, nothing)));
  const taken = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(taken).toHaveLength(1);
  for (const lock of taken) lock.release();
});

test('a store whose folder is renamed reports that, and can be opened there by another process', async () => {
  const moved = `${folder}-moved`;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const backend = await embedded({ path: folder });
    const { executionId } = work();
    await backend.createExecution({ ...work(), executionId });
    renameSync(folder, moved);
    await expect(embedded({ path: moved })).rejects.toMatchObject({ code: 'storage_locked' });
    vi.advanceTimersByTime(2_000);
    await expect(backend.createExecution(work())).rejects.toMatchObject({ code: 'storage_failed' });
    const startedAt = performance.now();
    const next = await embedded({ path: moved });
    // Without waiting for a sign of life of the process that had it.
    expect(performance.now() - startedAt).toBeLessThan(6_000);
    expect(await next.readExecutionState({ executionId })).toBe('waiting');
    await backend.close();
    expect(existsSync(join(moved, 'lock'))).toBe(true);
    await next.close();
  } finally {
    vi.useRealTimers();
    rmSync(moved, { recursive: true, force: true });
  }
});

test('a store whose folder is removed reports that, and one whose lock is unreadable for a moment continues', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const backend = await embedded({ path: folder });
    const own = readFileSync(path, 'utf8');
    // What stands in its way is no file: reading fails as it does for a process that is out of files.
    rmSync(path);
    mkdirSync(path);
    vi.advanceTimersByTime(10_000);
    await backend.ping();
    rmdirSync(path);
    writeFileSync(path, own);
    vi.advanceTimersByTime(10_000);
    await backend.createExecution(work());

    rmSync(folder, { recursive: true });
    vi.advanceTimersByTime(2_000);
    await expect(backend.createExecution(work())).rejects.toMatchObject({
      code: 'storage_failed',
      message: expect.stringContaining('The folder of the store, or the lock in it, was removed.') as string,
    });
    await backend.close();
  } finally {
    vi.useRealTimers();
  }
});

test('a process that stood still does not write over the one that has taken its store over', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  try {
    const backend = await embedded({ path: folder });
    await backend.createExecution(work());
    const journal = join(folder, '00000001.journal');
    const before = readFileSync(journal);
    writeFileSync(path, JSON.stringify({ ...holder(), pid: 1, place: 'another machine' }));
    // It did not get to its timers since then.
    vi.setSystemTime(Date.now() + 8_000);
    await expect(backend.createExecution(work())).rejects.toMatchObject({ code: 'storage_locked' });
    await backend.close();
    expect(readFileSync(journal).equals(before)).toBe(true);
    expect(holder()['pid']).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});
