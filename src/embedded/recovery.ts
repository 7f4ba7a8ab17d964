/**
 * Reads a store back: the newest snapshot, then every segment of the journal from the same number on.
 *
 * A write that was running when the process or the machine stopped may be partial. Every frame contains how much of its
 * file was certainly on the medium when it was written. Unreadable data after the last such position is a torn tail,
 * which was never promised, and is cut off. Unreadable data before it is damage, and the store is not opened.
 */
import { join } from 'node:path';
import { present } from '../../model/core/present.js';
import { EngineError } from '../../model/errors.js';
import type { Disk } from './disk.js';
import {
  filesOf,
  headerOf,
  isMarked,
  journalLost,
  nameOf,
  type Deployment,
  type FileHeader,
  type FileKind,
  type OpenFile,
} from './files.js';
import { FRAME, FrameBuilder, FrameReader } from './frames.js';
import { Loader, type Target } from './loader.js';
import { codecsOf } from './schema.js';

/** A tail that was cut off. */
export interface TornTail {
  readonly file: string;
  /** The new end of the file. */
  readonly at: number;
}

export interface Recovered {
  /** The last segment, in which the journal continues. */
  readonly segment: OpenFile;
  readonly torn: TornTail | undefined;
  /** Bytes of the newest snapshot; 0 without one. */
  readonly snapshotBytes: number;
  /** Bytes of the later segments. */
  readonly journalBytes: number;
  /** Whether the store holds anything: a snapshot, events or changed settings. */
  readonly holds: boolean;
}

/**
 * Partitions and settings in the newest segment; undefined without a store.
 * @param wasOpen whether a process had the folder open as a store, and died
 * @throws EngineError `corruption` if there was a store, and its newest segment is missing
 */
export function storedDeployment(disk: Disk, folder: string, wasOpen: boolean): Deployment | undefined {
  const names = disk.list(folder);
  const { journal, snapshot, unfinished } = filesOf(names);
  const number = journal.at(-1);
  // A snapshot is begun after the segment of its number.
  const begun = Math.max(...snapshot, ...unfinished.map(snapshotNumberOf));
  if (begun > (number ?? 0)) throw missing(begun);
  if (number === undefined) {
    if (isMarked(names)) throw journalLost();
    // A process that dies while it creates a store leaves the unfinished first segment.
    if (unfinished.length > 0) return undefined;
    if (!wasOpen) {
      const other = names.find((name) => !MAY_BE_THERE.test(name));
      if (other === undefined) return undefined;
      throw new EngineError(
        'invalid_input',
        `path: the folder has no store, and holds other files, such as "${other}". Give the store a folder of its own.`,
        { detail: { field: 'path' } },
      );
    }
    throw new EngineError(
      'corruption',
      'The process that had the store open died, and only its lock is left: the journal is missing. ' +
        'Restore a copy of the folder, or remove the file "lock" to begin a new store.',
    );
  }
  const file = disk.open(join(folder, nameOf('journal', number)));
  try {
    return headerOf(new FrameReader(disk, file, nameOf('journal', number)));
  } finally {
    disk.close(file);
  }
}

/** What a folder can hold before it has a store: a lock, hidden files, and what a new file system has in its root. */
const MAY_BE_THERE = /^(lock(\.next)?|\..*|lost\+found)$/;

const snapshotNumberOf = (name: string): number => Number(/^(\d+)\.snapshot/.exec(name)?.[1] ?? 0);

/** The files to read, and leftover ones. @throws EngineError `corruption` if one is missing */
function planOf(names: readonly string[]): {
  readonly snapshot: number | undefined;
  readonly segments: readonly number[];
  readonly leftOver: readonly string[];
} {
  const files = filesOf(names);
  const snapshot = files.snapshot.at(-1);
  const first = snapshot ?? 1;
  const segments = files.journal.filter((number) => number >= first);
  segments.forEach((number, index) => {
    if (number === first + index) return;
    throw snapshot === undefined && index === 0 ? missingStart(number) : missing(first + index);
  });
  if (segments.length === 0) throw missing(first);
  return {
    snapshot,
    segments,
    leftOver: [
      ...files.unfinished,
      ...files.snapshot.slice(0, -1).map((number) => nameOf('snapshot', number)),
      ...files.journal.filter((number) => number < first).map((number) => nameOf('journal', number)),
    ],
  };
}

const missing = (number: number): EngineError =>
  new EngineError('corruption', `${nameOf('journal', number)} is missing from the store.`);

/** Neither a snapshot nor earlier segments are left before the first one. */
const missingStart = (number: number): EngineError =>
  new EngineError('corruption', `${nameOf('snapshot', number)} is missing from the store, and no journal replaces it.`);

/**
 * Reads all files into an empty target.
 * @param mends whether to remove leftover files and cut a torn tail; true the first time a process opens the store
 * @throws EngineError `corruption`, `library_mismatch`; errors of the disk
 */
export function recover(disk: Disk, folder: string, target: Target, mends: boolean): Recovered {
  const { snapshot, segments, leftOver } = planOf(disk.list(folder));
  const snapshotBytes = snapshot === undefined ? 0 : readSnapshot(disk, folder, target, snapshot);
  let journalBytes = 0;
  let holds = snapshot !== undefined;
  let last: ReturnType<typeof readSegment> | undefined;
  for (const number of segments) {
    if (last !== undefined) disk.close(last.segment.file);
    last = readSegment(disk, folder, target, number, number === segments.at(-1), mends);
    journalBytes += last.segment.position;
    holds ||= last.holds;
  }
  // A store that cannot be read keeps everything that it has.
  if (mends && leftOver.length > 0) {
    for (const name of leftOver) disk.remove(join(folder, name));
    disk.syncFolder(folder);
  }
  const { segment, torn } = present(last);
  return { segment, torn, snapshotBytes, journalBytes, holds };
}

function openedAs(reader: FrameReader, kind: FileKind, number: number, target: Target): FileHeader {
  const header = headerOf(reader);
  if (header.kind !== kind || header.number !== number)
    throw new EngineError('corruption', `${reader.name} has the header of ${nameOf(header.kind, header.number)}.`);
  if (header.storeId !== target.storeId)
    throw new EngineError('corruption', `${reader.name} belongs to another store than the newest segment.`);
  target.use(header.settings);
  return header;
}

function readSnapshot(disk: Disk, folder: string, target: Target, number: number): number {
  const name = nameOf('snapshot', number);
  const file = disk.open(join(folder, name));
  try {
    const reader = new FrameReader(disk, file, name);
    const loader = new Loader(target, codecsOf(openedAs(reader, 'snapshot', number, target).schema), true);
    for (let count = 2; ; count++) {
      const at = reader.position;
      const frame = reader.next();
      if (frame === undefined || frame.number !== count) throw damaged(name, at);
      if (frame.type === FRAME.end) return reader.position;
      loader.load(frame);
    }
  } finally {
    disk.close(file);
  }
}

function readSegment(
  disk: Disk,
  folder: string,
  target: Target,
  number: number,
  isLast: boolean,
  mends: boolean,
): { readonly segment: OpenFile; readonly torn: TornTail | undefined; readonly holds: boolean } {
  const name = nameOf('journal', number);
  const file = disk.open(join(folder, name));
  try {
    const reader = new FrameReader(disk, file, name);
    const loader = new Loader(target, codecsOf(openedAs(reader, 'journal', number, target).schema), false);
    let frames = 1;
    let synced = 0;
    for (;;) {
      const at = reader.position;
      const frame = reader.next();
      if (frame === undefined || frame.number !== frames + 1) {
        reader.position = at;
        break;
      }
      frames += 1;
      synced = frame.synced;
      if (frame.type === FRAME.records) loader.load(frame);
    }
    const end = reader.position;
    let torn: TornTail | undefined;
    if (!reader.isBlankFrom(end)) {
      for (const later of reader.search(end, frames + 1)) synced = Math.max(synced, later.synced);
      if (!isLast || synced > end) throw damaged(name, end);
      torn = { file: name, at: end };
    }
    if (mends && isLast && torn !== undefined) {
      disk.truncate(file, end);
      disk.sync(file);
    }
    const segment = { file, number, builder: new FrameBuilder(reader.salt), position: end, frames };
    return { segment, torn, holds: loader.holds };
  } catch (error) {
    disk.close(file);
    throw error;
  }
}

const damaged = (name: string, at: number): EngineError =>
  new EngineError('corruption', `${name} does not read at byte ${at}, although that part was synced.`, {
    detail: { file: name, at: String(at) },
  });
