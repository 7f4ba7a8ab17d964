import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const isErrno = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
};

/** Tells whether the lock's holder died; one that has not yet written its pid is given ten seconds. */
const isStale = async (folder: string): Promise<boolean> => {
  try {
    return !isAlive(Number(await readFile(`${folder}/pid`, 'utf8')));
  } catch {
    const made = await stat(folder).catch(() => undefined);
    return made !== undefined && Date.now() - made.mtimeMs > 10_000;
  }
};

/**
 * Runs `task` while holding a lock that other processes of this machine
 * respect: a folder, which only one of them can make.
 *
 * @param folder the folder to make; its parent must exist
 * @param waitMs how long to wait for another holder
 * @throws Error if the lock stays taken for `waitMs`; otherwise what `task` throws
 */
export const withFolderLock = async <T>(folder: string, waitMs: number, task: () => Promise<T>): Promise<T> => {
  const deadline = Date.now() + waitMs;
  for (;;) {
    try {
      await mkdir(folder);
      break;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    if (await isStale(folder)) {
      await rm(folder, { recursive: true, force: true });
    } else if (Date.now() > deadline) {
      throw new Error(`${folder} is held by another process; remove it if none is installing Valkey`);
    } else {
      await sleep(250);
    }
  }
  try {
    await writeFile(`${folder}/pid`, String(process.pid));
    return await task();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
