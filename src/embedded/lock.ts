/**
 * Allows one process at a time. The lock file names the process that has the store open, by its pid and start time. The
 * lock is taken over from a process that has ended, even if another process has the same pid by now. Whether a process
 * on another machine, or in another container, is alive can only be seen from the time of the file, which its holder
 * updates.
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
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../model/errors.js';
import { propertyOf } from '../util/thrown.js';

/** Contents of the lock files that this thread holds. */
const heldHere = new Set<string>();

const NAME = 'lock';
/** A process that creates this file may take the lock over. */
const NEXT = 'lock.next';
const SIGN_OF_LIFE_MS = 2_000;
/** A remote holder without a sign of life for this long counts as ended, ms. */
const PATIENCE_MS = 4 * SIGN_OF_LIFE_MS;
/** How long a holder may take to write the contents of its file, ms. */
const WRITING_MS = 500;
const TRIES = 10;

/** Called when another process took the lock over (`storage_locked`), or its file was removed (`storage_failed`). */
type OnLost = (loss: EngineError) => void;

export interface Lock {
  /** Whether it was taken over from a process that had opened a store, and ended without closing it. */
  readonly wasOpened: boolean;
  /** Notes in the lock file that the folder has a store now. */
  opened(): void;
  /**
   * Call this before files are used. After a pause in which another process may have taken the lock over, it looks.
   * @throws EngineError the loss
   */
  check(): void;
  release(): void;
  /** Leaves the folder as it was found: the lock of the process that had ended is put back. */
  giveBack(): void;
}

interface Holder {
  readonly pid: number;
  /** When the process started, as text of its operating system; empty if unknown. */
  readonly started: string;
  /** The scope of its pid: the machine, its last boot, and the container. */
  readonly place: string;
  /** 1 once it has opened the store: from then on the folder has a journal. */
  readonly opened: 0 | 1;
  /** Makes its text unlike that of any other holder. */
  readonly nonce: string;
}

const quietly = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    return '';
  }
};

/** When a process started; empty if unknown. */
function startOf(pid: number): string {
  const stat = quietly(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The name of the program is in parentheses and can contain any text; the start time is the 20th value after it.
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

/** Whether the process of a lock has certainly ended. */
function isGone({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Other errors mean that the process exists and belongs to another user.
    if (propertyOf(error, 'code') === 'ESRCH') return true;
  }
  const now = startOf(pid);
  return now !== '' && started !== '' && now !== started;
}

function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (propertyOf(error, 'code') === 'ENOENT') return undefined;
    throw error;
  }
}

/** Creates the file with the text. @returns false if it exists already */
function make(path: string, text: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    if (propertyOf(error, 'code') === 'EEXIST') return false;
    throw error;
  }
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
  return true;
}

/** Whether the process of the lock file with this text has ended. */
async function isStale(path: string, text: string): Promise<boolean> {
  const holder = holderIn(text);
  if (holder === undefined) {
    await sleep(WRITING_MS);
    return textAt(path) === text;
  }
  if (heldHere.has(text)) return false;
  if (holder.place === placeOfThisProcess() && (holder.pid !== process.pid || isGone(holder))) return isGone(holder);
  // A thread of this process is also judged by its signs of life, because it may have ended while the process lives.
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
 * Takes the lock of a folder. `onLost` is called when another process took it over, which can only happen while this
 * one is blocked, and when the file was removed, most often with its folder.
 * @throws EngineError `storage_locked` that names the process with the lock
 */
export async function takeLock(folder: string, onLost: OnLost): Promise<Lock> {
  const path = join(folder, NAME);
  const next = join(folder, NEXT);
  const holder: Holder = {
    pid: process.pid,
    started: startOf(process.pid),
    place: placeOfThisProcess(),
    opened: 0,
    nonce: Math.random().toString(36).slice(2),
  };
  const own = JSON.stringify(holder);
  for (let tries = 0; tries < TRIES; tries++) {
    if (make(path, own)) return held(path, holder, onLost);
    const text = textAt(path);
    if (text === undefined) continue;
    if (!(await isStale(path, text))) throw locked(text);
    // One process at a time replaces the file, and only if it still has the checked text.
    if (!make(next, own)) {
      const other = textAt(next);
      if (other !== undefined && (await isStale(next, other))) unlinkSync(next);
      continue;
    }
    if (textAt(path) === text) renameSync(next, path);
    else unlinkSync(next);
    if (textAt(path) === own) return held(path, holder, onLost, text);
  }
  throw locked(textAt(path) ?? '');
}

/** How a lock was lost; undefined if it was not, or if the file cannot be read now (too many open files). */
function lossOf(path: string, own: string): EngineError | undefined {
  let text: string | undefined;
  try {
    text = textAt(path);
  } catch {
    return undefined;
  }
  if (text === own) return undefined;
  return text === undefined
    ? new EngineError('storage_failed', 'The folder of the store, or the lock in it, was removed.')
    : new EngineError('storage_locked', 'Another process took the store over.');
}

/** @param found the text of the lock that was taken over */
function held(path: string, holder: Holder, onLost: OnLost, found?: string): Lock {
  let own = JSON.stringify(holder);
  let loss: EngineError | undefined;
  // Two clocks: one stands still with a machine that sleeps, the other can be set back.
  let [seenAt, seenOn] = [performance.now(), Date.now()];
  heldHere.add(own);
  const file = openSync(path, 'r+');
  const end = (): void => {
    clearInterval(timer);
    heldHere.delete(own);
    closeSync(file);
  };
  const look = (): void => {
    loss = lossOf(path, own);
    if (loss !== undefined) {
      onLost(loss);
      // The folder may have been renamed: a process that opens it there must not find this lock.
      if (loss.code === 'storage_failed') ftruncateSync(file);
      return end();
    }
    [seenAt, seenOn] = [performance.now(), Date.now()];
    const now = new Date();
    quietly(() => {
      utimesSync(path, now, now);
      return '';
    });
  };
  const timer = setInterval(look, SIGN_OF_LIFE_MS).unref();
  const release = (leave: () => void): void => {
    if (!heldHere.has(own)) return;
    end();
    if (quietly(() => readFileSync(path, 'utf8')) === own) leave();
  };
  return {
    wasOpened: found !== undefined && holderIn(found)?.opened === 1,
    opened() {
      if (!heldHere.delete(own)) return;
      own = JSON.stringify({ ...holder, opened: 1 } satisfies Holder);
      heldHere.add(own);
      // As long as what it replaces: needs no room on the disk, and is never there by half.
      writeSync(file, own, 0);
    },
    check() {
      const pauseMs = Math.max(performance.now() - seenAt, Date.now() - seenOn);
      if (pauseMs > PATIENCE_MS / 2 && heldHere.has(own)) look();
      if (loss !== undefined) throw loss;
    },
    release: () => release(() => unlinkSync(path)),
    giveBack: () => release(() => (found === undefined ? unlinkSync(path) : writeFileSync(path, found))),
  };
}
