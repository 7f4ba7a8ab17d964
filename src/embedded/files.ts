/** The files of a store: their names, how one is begun, and what its first frame says. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { EngineError } from '../../model/errors.js';
import { ONE_OF_EACH, type PartitionConfig } from '../../model/partition.js';
import { familiesIn, type DeploymentSettings } from '../settings.js';
import type { Disk } from './disk.js';
import { FRAME, FrameBuilder, PREAMBLE_BYTES, preambleOf, type FrameReader } from './frames.js';
import { SCHEMA, type Schema } from './schema.js';

/** A segment of the journal, or the state before the segment of the same number. */
export type FileKind = 'journal' | 'snapshot';

/** What all of a store has in common. */
export interface Deployment {
  readonly partitions: PartitionConfig;
  /** As they were when the file was begun. */
  readonly settings: DeploymentSettings;
}

/** The first frame of a file, JSON. */
export interface FileHeader extends Deployment {
  readonly kind: FileKind;
  readonly number: number;
  readonly schema: Schema;
}

const NAME = /^(\d{8})\.(journal|snapshot)$/;
/** Behind the name of a file that is being made. */
const UNFINISHED = '.new';

export const nameOf = (kind: FileKind, number: number): string => `${String(number).padStart(8, '0')}.${kind}`;

/** The files of a folder: numbers of each kind, ascending, and names of those that were never finished. */
export function filesOf(names: readonly string[]): {
  readonly journal: readonly number[];
  readonly snapshot: readonly number[];
  readonly unfinished: readonly string[];
} {
  const files = { journal: [] as number[], snapshot: [] as number[], unfinished: [] as string[] };
  for (const name of names) {
    const match = NAME.exec(name);
    if (match !== null) files[match[2] as FileKind].push(Number(match[1]));
    else if (name.endsWith(UNFINISHED) && NAME.test(name.slice(0, -UNFINISHED.length))) files.unfinished.push(name);
  }
  files.journal.sort((a, b) => a - b);
  files.snapshot.sort((a, b) => a - b);
  return files;
}

/** A file that can be written to. */
export interface OpenFile {
  readonly file: number;
  readonly number: number;
  readonly builder: FrameBuilder;
  /** Where the next frame goes. */
  position: number;
  /** Frames so far. */
  frames: number;
}

/** Begins a file under the name of an unfinished one, with its preamble and its header. */
export function beginFile(disk: Disk, folder: string, header: Omit<FileHeader, 'schema'>): OpenFile {
  const name = nameOf(header.kind, header.number) + UNFINISHED;
  const path = join(folder, name);
  // What an earlier try left.
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

/** Gives a file that is on the medium its name, for good. */
export function nameFile(disk: Disk, folder: string, kind: FileKind, number: number): void {
  const name = nameOf(kind, number);
  disk.rename(join(folder, name + UNFINISHED), join(folder, name));
  disk.syncFolder(folder);
}

/** Removes a file that was begun and will not be finished. What cannot be removed now is when the store is opened next. */
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
    // It counts for nothing under this name.
  }
}

/** The header of a file that begins here. @throws EngineError `corruption` */
export function headerOf(reader: FrameReader): FileHeader {
  const frame = reader.next();
  if (frame === undefined || frame.type !== FRAME.header || frame.number !== 1)
    throw new EngineError('corruption', `${reader.name} has no header that reads.`);
  const header = JSON.parse(frame.text) as FileHeader;
  // Files of before there were families say nothing of them.
  return {
    ...header,
    partitions: { ...ONE_OF_EACH, ...header.partitions },
    settings: { ...header.settings, families: familiesIn(header.settings.families) },
  };
}
