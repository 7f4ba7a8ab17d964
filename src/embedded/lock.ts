/**
 * One process at a time: a file that names the process that has the store open, by its pid and the time of its start.
 * It is taken over from a process that is gone, also when another one has its pid by now. Of a process on another
 * machine, or in another container, only a sign of life can be seen: the time of the file, which its holder renews.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../model/errors.js';

/** What the locks say that this thread holds. */
const heldHere = new Set<string>();

const NAME = 'lock';
/** A file of this name stands for the right to take the lock over. */
const NEXT = 'lock.next';
const SIGN_OF_LIFE_MS = 2_000;
/** So long without a sign of life, and a holder elsewhere is taken for gone, ms. */
const PATIENCE_MS = 4 * SIGN_OF_LIFE_MS;
/** So long a holder may take to write down who it is, ms. */
const WRITING_MS = 500;
const TRIES = 10;

/** Another process took it, or it is not there any more. */
export type LockLoss = 'taken' | 'removed';

export interface Lock {
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** When the process started, in the words of its operating system; empty where that cannot be known. */
  readonly started: string;
  /** Where its pid means something: the machine, its last start, the container. */
  readonly place: string;
}

const quietly = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    return '';
  }
};

/** When a process started; empty when that cannot be known. */
function startOf(pid: number): string {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The name of the program stands in parentheses and can hold anything; the time of its start is the 20th value behind.
  if (stat !== '') return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  if (process.platform === 'win32' || process.platform === 'linux') return '';
  return quietly(() => execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }));
}

function placeOfThisProcess(): string {
  const boot = quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'));
  const container = quietly(() => readlinkSync('/proc/self/ns/pid'));
  return [hostname(), boot, container].join(' ');
}

function holderIn(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return typeof holder.pid === 'number' ? holder : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process of a lock is gone, as far as it can be told from here. */
function isGone({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Any other error says that there is such a process, of another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
  }
  const now = startOf(pid);
  return now !== '' && started !== '' && now !== started;
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the file with the text; answers whether there was none. */
function make(path: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
  return true;
}

/** Whether the lock file with this text is of a process that is gone. */
async function isStale(path: string, text: string): Promise<boolean> {
  const holder = holderIn(text);
  if (holder === undefined) {
    await sleep(WRITING_MS);
    return textAt(path) === text;
  }
  if (heldHere.has(text)) return false;
  if (holder.place === placeOfThisProcess() && (holder.pid !== process.pid || isGone(holder))) return isGone(holder);
  // Of another thread, too, only signs of life can be seen: it may have been ended while its process lives on.
  const seenAt = timeOf(path);
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    await sleep(SIGN_OF_LIFE_MS / 2);
    if (textAt(path) !== text || timeOf(path) !== seenAt) return false;
  }
  return true;
}

const timeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const locked = (text: string): EngineError => {
  const holder = holderIn(text);
  const by = holder === undefined ? 'another process' : `process ${holder.pid}`;
  return new EngineError('storage_locked', `The store is open in ${by}.`);
};

/**
 * Takes the lock of a folder, or says which process has it. `onLost` is called when another process took it, which can
 * only be while this one stood still, and when it was removed, most often with its folder.
 * @throws EngineError `storage_locked`
 */
export async function takeLock(folder: string, onLost: (loss: LockLoss) => void): Promise<Lock> {
  const path = join(folder, NAME);
  const next = join(folder, NEXT);
  const own = JSON.stringify({
    pid: process.pid,
    started: startOf(process.pid),
    place: placeOfThisProcess(),
    nonce: Math.random().toString(36).slice(2),
  } satisfies Holder & { nonce: string });
  for (let tries = 0; tries < TRIES; tries++) {
    if (make(path, own)) return held(path, own, onLost);
    const text = textAt(path);
    if (text === undefined) continue;
    if (!(await isStale(path, text))) throw locked(text);
    // One process at a time replaces it, and only what it has judged.
    if (!make(next, own)) {
      const other = textAt(next);
      if (other !== undefined && (await isStale(next, other))) unlinkSync(next);
      continue;
    }
    if (textAt(path) === text) renameSync(next, path);
    else unlinkSync(next);
    if (textAt(path) === own) return held(path, own, onLost);
  }
  throw locked(textAt(path) ?? '');
}

/** How a lock was lost; nothing when it was not, or when that cannot be seen now (a process out of files). */
function lossOf(path: string, own: string): LockLoss | undefined {
  let text: string | undefined;
  try {
    text = textAt(path);
  } catch {
    return undefined;
  }
  if (text === own) return undefined;
  return text === undefined ? 'removed' : 'taken';
}

function held(path: string, own: string, onLost: (loss: LockLoss) => void): Lock {
  heldHere.add(own);
  const file = openSync(path, 'r+');
  const end = (): void => {
    clearInterval(timer);
    heldHere.delete(own);
    closeSync(file);
  };
  const timer = setInterval(() => {
    const loss = lossOf(path, own);
    if (loss !== undefined) {
      onLost(loss);
      // The folder may have another name now: who opens it there is to find that nobody has it open.
      if (loss === 'removed') ftruncateSync(file);
      return end();
    }
    const now = new Date();
    quietly(() => {
      utimesSync(path, now, now);
      return '';
    });
  }, SIGN_OF_LIFE_MS).unref();
  return {
    release() {
      if (!heldHere.has(own)) return;
      end();
      if (quietly(() => readFileSync(path, 'utf8')) === own) unlinkSync(path);
    },
  };
}
