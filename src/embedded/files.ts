/** The files of a store: their names, creation, and headers. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { EngineError } from '../../model/errors.js';
import { ONE_OF_EACH, type PartitionConfig } from '../../model/partition.js';
import { familiesIn, type DeploymentSettings } from '../backend/settings.js';
import type { Disk } from './disk.js';
import { FRAME, FrameBuilder, PREAMBLE_BYTES, preambleOf, type FrameReader } from './frames.js';
import { SCHEMA, type Schema } from './schema.js';

/** A segment of the journal, or a snapshot of the state before the segment of the same number. */
export type FileKind = 'journal' | 'snapshot';

/** Partitions and settings of a store. */
export interface Deployment {
  readonly partitions: PartitionConfig;
  /** The settings when the file was created. */
  readonly settings: DeploymentSettings;
  /** Identifies the store in all of its files; absent if an earlier version created it. */
  readonly storeId?: string | undefined;
}

/** The first frame of a file, JSON. */
export interface FileHeader extends Deployment {
  readonly kind: FileKind;
  readonly number: number;
  readonly schema: Schema;
}

const NAME = /^(\d{8})\.(journal|snapshot)$/;
/** Suffix of unfinished files. */
const UNFINISHED = '.new';

export const nameOf = (kind: FileKind, number: number): string => `${String(number).padStart(8, '0')}.${kind}`;

/** The files of a folder: numbers of each kind, ascending, and names of unfinished files. */
export function filesOf(names: readonly string[]): {
  readonly journal: readonly number[];
  readonly snapshot: readonly number[];
  readonly unfinished: readonly string[];
} {
  const files = { journal: [] as number[], snapshot: [] as number[], unfinished: [] as string[] };
  for (const name of names) {
    const [, number, kind] = NAME.exec(name) ?? [];
    if (kind === 'journal' || kind === 'snapshot') files[kind].push(Number(number));
    else if (name.endsWith(UNFINISHED) && NAME.test(name.slice(0, -UNFINISHED.length))) files.unfinished.push(name);
  }
  files.journal.sort((a, b) => a - b);
  files.snapshot.sort((a, b) => a - b);
  return files;
}

/** Marks a folder whose store has held data. If its journal is missing, the data is lost. */
const MARK = 'store.mark';

export const isMarked = (names: readonly string[]): boolean => names.includes(MARK);

/** The error for a marked folder without a journal. */
export const journalLost = (): EngineError =>
  new EngineError(
    'corruption',
    `The journal is missing: the file "${MARK}" says that the folder has had one. ` +
      'Restore a copy of the folder, or remove that file to begin a new store.',
  );

/** Marks the folder. Failures are ignored: without the mark, only the loss of the journal goes unnoticed. */
export function markFolder(disk: Disk, folder: string): void {
  try {
    if (isMarked(disk.list(folder))) return;
    disk.close(disk.create(join(folder, MARK)));
    disk.syncFolder(folder);
  } catch {
    // The next close tries again.
  }
}

/** A writable file. */
export interface OpenFile {
  readonly file: number;
  readonly number: number;
  readonly builder: FrameBuilder;
  /** Position of the next frame. */
  position: number;
  /** Frames so far. */
  frames: number;
}

/** Creates a file with its preamble and header, under the name of an unfinished file. */
export function beginFile(disk: Disk, folder: string, header: Omit<FileHeader, 'schema'>): OpenFile {
  const name = nameOf(header.kind, header.number) + UNFINISHED;
  const path = join(folder, name);
  // A file of an earlier failed try.
  if (disk.list(folder).includes(name)) disk.remove(path);
  const file = disk.create(path);
  try {
    const salt = randomBytes(4).readUInt32LE(0);
    const builder = new FrameBuilder(salt);
    disk.write(file, preambleOf(salt), PREAMBLE_BYTES, 0);
    const frame = builder.frame(FRAME.header, 1, 0, JSON.stringify({ ...header, schema: SCHEMA }), []);
    disk.write(file, frame, frame.length, PREAMBLE_BYTES);
    return { file, number: header.number, builder, position: PREAMBLE_BYTES + frame.length, frames: 1 };
  } catch (error) {
    dropFile(disk, folder, header.kind, { file, number: header.number });
    throw error;
  }
}

/** Gives a finished file, which is on the medium, its final name. */
export function nameFile(disk: Disk, folder: string, kind: FileKind, number: number): void {
  const name = nameOf(kind, number);
  disk.rename(join(folder, name + UNFINISHED), join(folder, name));
  disk.syncFolder(folder);
}

/** Removes an unfinished file. After a failure, the next opening of the store removes it. */
export function dropFile(
  disk: Disk,
  folder: string,
  kind: FileKind,
  { file, number }: Pick<OpenFile, 'file' | 'number'>,
): void {
  disk.close(file);
  try {
    disk.remove(join(folder, nameOf(kind, number) + UNFINISHED));
  } catch {
    // A file with this name is ignored.
  }
}

/** Reads the header at the start of a file. @throws EngineError `corruption` */
export function headerOf(reader: FrameReader): FileHeader {
  const frame = reader.next();
  if (frame === undefined || frame.type !== FRAME.header || frame.number !== 1)
    throw new EngineError('corruption', `${reader.name} has no readable header.`);
  const header = JSON.parse(frame.text) as FileHeader;
  // Files of earlier versions have no families.
  return {
    ...header,
    partitions: { ...ONE_OF_EACH, ...header.partitions },
    settings: { ...header.settings, families: familiesIn(header.settings.families) },
  };
}
